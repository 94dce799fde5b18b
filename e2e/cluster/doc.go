// SPDX-License-Identifier: Apache-2.0

// Package cluster makes and removes a kind cluster with everything the tests on a real cluster need, also on a machine
// that can pull no image. The command is e2e/cmd/kind; docs/testing.md tells how to use it.
//
//	func Up(ctx context.Context, progress io.Writer, options Options) (*Cluster, error)
//	func Open() (*Cluster, error)
//	func Down(ctx context.Context, progress io.Writer) error
//	func (*Cluster) Config() (*rest.Config, error)
//	func (*Cluster) LoadBinary(ctx context.Context, progress io.Writer, image, pkg string, values ...string) error
//	func (*Cluster) Load(ctx context.Context, archive string) error
//
// # Where images come from
//
// With a registry in reach kind's own node image and the published Redis images are pulled, and the operator's is built
// from the Dockerfile. Without one, all images are built from Debian's packages and Go modules. Images are archives in
// the cache folder. Those of the control plane are mounted into the nodes, which import what is theirs while they boot;
// the others are imported when the cluster stands. The Docker engine gets to see the node image only.
//
// # What is done to the machine
//
// A Docker engine is started if none runs (engine.go), a network with a bridge is made, and a rule of iptables lets
// nothing from that bridge out of the machine (fence.go). Down undoes all of it. The cache folder and Debian's packages
// stay.
package cluster
