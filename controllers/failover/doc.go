// SPDX-License-Identifier: Apache-2.0

// Package failover reconciles who is master of a RedisHA: it observes the Redis pods, has it decided (failover/decide),
// persists the intent and acts. It alone writes the master's EndpointSlice, the role labels and the failover's part of
// the status.
package failover
