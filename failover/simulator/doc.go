// SPDX-License-Identifier: Apache-2.0

// Package simulator searches for corners that were not thought of. It drives the real core (decide.Decide), the
// real executor with its leases, deadlines and stale marks, the real link, which sees to it that an order reaches the
// process it was meant for, and the real classification of the prober, in a simulated world: Redis processes with
// offsets and lineages, disks, a network that can be cut, an API server, clients that count their writes, and two
// operators, of which either may hang or die between any two effects. The world has a clock of its own and no
// parallelism, so a schedule is replayed to the byte from its seed.
//
// What is modelled instead of driven, because it consists of goroutines and Kubernetes clients: the prober's loop
// (when to probe whom), the controller's loop (observe, decide, persist, act, in controllers/failover_controller.go),
// leader election as in client-go, a standby's watch over the leader's process (failover/lease, whose word on the
// evidence is the real one), and Redis itself, after the facts in its source.
package simulator
