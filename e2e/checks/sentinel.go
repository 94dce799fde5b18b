// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"fmt"
	"strings"
)

// LackingInSentinel returns what a Sentinel of three does not believe to be well with a master and two replicas, by its
// answers to SENTINEL MASTER and SENTINEL REPLICAS; empty when all is.
func LackingInSentinel(master map[string]string, replicas []map[string]string) string {
	if master["flags"] != "master" || master["num-slaves"] != "2" || master["num-other-sentinels"] != "2" {
		return fmt.Sprintf(
			"master is %s, %s replicas, %s other Sentinels", master["flags"], master["num-slaves"],
			master["num-other-sentinels"],
		)
	}
	for _, r := range replicas {
		if r["flags"] != "slave" || !strings.EqualFold(r["master-link-status"], "ok") {
			return fmt.Sprintf("replica %s is %s, link %s", r["name"], r["flags"], r["master-link-status"])
		}
	}
	return ""
}
