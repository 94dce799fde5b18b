// SPDX-License-Identifier: Apache-2.0

// Package workload keeps the objects that a RedisHA owns as its spec wants them, replaces outdated pods one at a time,
// and never promotes. What the status says of who is master it only reads.
package workload
