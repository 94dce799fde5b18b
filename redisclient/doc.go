// SPDX-License-Identifier: Apache-2.0

// Package redisclient is everything RedisHA says to a Redis process: dialling, TLS, authentication, the few
// administrative commands a failover needs, INFO parsing and the classification of errors.
//
// A [Client] stands for one Redis process and holds one persistent connection to it. It never retries on its own:
// what happened is reported once, as it happened, and deciding what to do about it is the failover core's business.
// The connection is read in the background, so that its end is noticed when it happens (1 to 2 ms after a SIGKILL)
// and not at the next probe; see [Options.OnEOF].
//
// It speaks to Redis 7.0 and newer and to Valkey. Wherever Redis writes "slave", this package reads it and says
// replica.
package redisclient
