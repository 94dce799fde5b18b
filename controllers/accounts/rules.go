// SPDX-License-Identifier: Apache-2.0

package accounts

// Restrictions are taken from the default user, and from no other: what stops a set, points it elsewhere, reads or
// changes its configuration, or stands still for as long as there is data. REPLCONF stays, for the links of replicas
// that were made as the default user; without PSYNC it does nothing.
var Restrictions = []string{
	"-replicaof", "-slaveof", "-failover", "-psync", "-sync", "-shutdown", "-debug", "-module", "-migrate", "-save",
	"-config", "-acl", "+acl|whoami", "+acl|cat",
	"-client|kill", "-client|pause", "-client|unpause", "-client|no-evict",
	"-script|debug", "-pfdebug", "-pfselftest",
}

// The rules of system users. None of them has keys or channels.
var (
	operatorRules = []string{
		"+ping", "+echo", "+hello", "+auth", "+info", "+role", "+multi", "+exec", "+replicaof",
		"+client|id", "+client|list", "+client|kill", "+client|setname", "+client|pause", "+client|unpause",
		"+config|get", "+config|set",
		"+acl|cat", "+acl|list", "+acl|users", "+acl|setuser", "+acl|deluser",
	}
	replicaRules = []string{"+ping", "+auth", "+replconf", "+psync"}
	podRules     = []string{"+ping", "+auth", "+info", "+role", "+lastsave", "+bgsave", "+config|set"}
)
