// SPDX-License-Identifier: Apache-2.0

// Package decide is the state machine of RedisHA.
//
// Decide is a total, deterministic function from what was observed (Observation), what was
// promised (Policy), what was begun (Progress) and what a person asked for (Request) to a
// Decision: the Progress to persist, then the Actions to carry out, and a Message that a person
// can read. The caller persists Decision.Next by compare-and-swap before it carries out any
// action, and observes again afterwards; no reply of Redis is ever taken for a fact.
package decide
