// SPDX-License-Identifier: Apache-2.0

// Package failover is the brain of RedisHA: it decides, and does nothing else.
//
// Decide is a total, deterministic function from what was observed (Observation), what was
// promised (Policy), what was begun (Progress) and what a person asked for (Request) to a
// Decision: the Progress to persist, then the Actions to carry out, and a Message that a person
// can read. The caller persists Decision.Next by compare-and-swap before it carries out any
// action, and observes again afterwards; no reply of Redis is ever taken for a fact.
//
// The package knows no clock, no network, no Kubernetes and no Redis client. Time is a value.
// The sub-packages prober and executor read for it and write for it.
package failover
