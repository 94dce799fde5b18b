// SPDX-License-Identifier: Apache-2.0

package lease

import "strings"

// ConnectionPrefix begins the name of every connection of an operator to Redis (CLIENT LIST).
const ConnectionPrefix = "redisha-"

// An identity names a process in the Lease: its host's name, which holds no underscore, then the address at which its
// Beacon is found, if it has one, then something that no other process has, with an underscore between each two.

// Prefix is what the identities of all processes that this host runs have in common.
func Prefix(host, address string) string {
	if address == "" {
		return host + "_"
	}
	return host + "_" + address + "_"
}

// Address returns where the Beacon of the process is found; empty for one that has none.
func Address(identity string) string {
	if parts := strings.Split(identity, "_"); len(parts) == 3 {
		return parts[1]
	}
	return ""
}

// Host returns the name of the process's host, which is that of its pod where it runs in one.
func Host(identity string) string {
	host, _, _ := strings.Cut(identity, "_")
	return host
}
