// SPDX-License-Identifier: Apache-2.0

// Package resources builds the Kubernetes objects that a RedisHA owns. Every
// builder is a pure function of the RedisHA (and of what its arguments say): no
// clock, no randomness, no API server, so that the golden files in testdata show
// exactly what is applied.
package resources
