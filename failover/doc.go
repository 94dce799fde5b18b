// SPDX-License-Identifier: Apache-2.0

// Package failover holds the words in which RedisHA decides: what was observed of the nodes (Observation), what the
// spec promises (Policy), what was begun (Progress), what a person asks for (Request), and what comes of it (Decision,
// with its Actions).
//
// The deciding itself is in the packages beside it, each of which imports this one: diagnosis says what is wrong with
// the master, election who may be promoted, and decide what is done. They do nothing else: they know no clock, no
// network, no Kubernetes and no Redis client. Time is a value. The packages prober and executor read for them and write
// for them.
package failover
