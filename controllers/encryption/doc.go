// SPDX-License-Identifier: Apache-2.0

// Package encryption says what the Redis processes of one RedisHA encrypt with, and how far it is on the way from
// connections in clear to encrypted ones. It is pure: the workload controller walks the way, and every controller that
// talks to Redis reads where it is from the Secret that pods mount.
package encryption
