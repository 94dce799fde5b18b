// SPDX-License-Identifier: Apache-2.0

// Package controllers holds the two reconcilers of a RedisHA. The workload
// reconciler keeps the owned objects as the spec wants them; the failover
// reconciler observes the Redis pods, decides, and alone says who is master. They
// share one object and never write the same field, so that neither waits for the other.
package controllers
