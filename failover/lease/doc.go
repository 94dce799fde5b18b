// SPDX-License-Identifier: Apache-2.0

// Package lease finds out whether the process that holds the operator's lease is dead, so that a standby need not wait
// for the lease of a leader that will never renew it.
//
// Silence proves nothing, here as with a Redis: a leader that is merely silent is waited for. Death is proven by facts
// alone (docs/adr/0023-a-dead-leader-is-a-fact.md): the standby's own connection to the leader's process ended and
// nothing, or another process, is at its address by now, or its pod is gone; and no Redis that answers lists a
// connection of an operator any more.
package lease
