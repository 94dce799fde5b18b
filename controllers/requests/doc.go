// SPDX-License-Identifier: Apache-2.0

// Package requests reads what a person asks for once, by a RedisHARequest or by the annotation redisha.io/request, and
// tells each RedisHARequest what became of it.
package requests
