// SPDX-License-Identifier: Apache-2.0

// Package gobuild builds commands from Go modules for those who run them: the Kubernetes binaries of the sandbox and of
// the kind nodes, and the operator itself. What takes minutes is built once for a machine and kept in the user's cache
// folder.
package gobuild
