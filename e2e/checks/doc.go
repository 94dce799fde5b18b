// SPDX-License-Identifier: Apache-2.0

// Package checks says when all is well with a RedisHA or with a Redis that Sentinels guard, whether what was published
// about a RedisHA was right at every instant, and lays out what came of many runs. The sandbox's scenarios, the
// benchmark and the suite on a cluster judge by it alike; how a Redis is asked is up to each.
package checks
