// SPDX-License-Identifier: Apache-2.0

// Package leader is the lease of the operators as client-go's elector sees it, with the proof that a leader is dead
// (failover/lease) and the knowledge for how long the lease is certainly ours.
package leader
