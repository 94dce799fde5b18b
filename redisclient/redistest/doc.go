// SPDX-License-Identifier: Apache-2.0

// Package redistest is a replicating Redis inside the test process: several [Node]s on a [Network], each on a TCP
// address of its own, with the replication semantics a failover depends on (run IDs, replication IDs and offsets,
// partial and full synchronisation, the boot fence, paused writes) and faults on demand (kill, hang, restart empty or
// with data, cut links, frozen replication, loading).
//
// The data commands are miniredis's; what miniredis lacks is here. Replication is synchronous and event driven: a
// replica that is attached and not hindered has a write before its writer has the reply. That is one of the schedules
// of a real Redis, and the one that makes tests repeatable; [Node.Freeze] makes the others.
//
// The contract test of package redisclient runs against this fake and against real servers, so that it cannot lie.
package redistest
