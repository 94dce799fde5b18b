// SPDX-License-Identifier: Apache-2.0

// Package memory keeps what a controller remembers of each RedisHA from one pass to the next, because nothing else
// tells it.
package memory
