// SPDX-License-Identifier: Apache-2.0

// Package conditions makes the conditions of a RedisHA, and tells what those of the other controller mean.
package conditions
