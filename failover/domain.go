// SPDX-License-Identifier: Apache-2.0

package failover

// Domain is the failure domain that n runs in: its zone, where all of the nodes have one and they are not all the same,
// else its machine. Empty when not known.
func Domain(nodes []Node, n Node) string {
	zones := map[string]bool{}
	for _, o := range nodes {
		if o.Machine != "" {
			zones[o.Zone] = true
		}
	}
	if len(zones) > 1 && !zones[""] {
		return n.Zone
	}
	return n.Machine
}
