// SPDX-License-Identifier: Apache-2.0

// Package accounts says which users the Redis processes of a RedisHA know: the default one, which applications have,
// those that the operator makes for itself, and those that the spec declares. It is pure: the workload controller walks
// the way from one state to the next, and every controller that talks to Redis reads where it is from the Secret that
// pods mount.
package accounts
