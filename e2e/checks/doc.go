// Package checks says when all is well with a RedisHA, and whether what was published about it was right at every instant. The
// sandbox's scenarios and the suite on a cluster judge by it alike; how a Redis is asked is up to each.
package checks
