// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"maps"
	"testing"
)

func TestASentinelHasToSeeEverybody(t *testing.T) {
	master := map[string]string{"flags": "master", "num-slaves": "2", "num-other-sentinels": "2"}
	replica := map[string]string{"name": "r", "flags": "slave", "master-link-status": "ok"}
	with := func(given map[string]string, name, value string) map[string]string {
		changed := maps.Clone(given)
		changed[name] = value
		return changed
	}
	tests := map[string]struct {
		master, replica map[string]string
		well            bool
	}{
		"everybody":                     {master, replica, true},
		"a master that is down for one": {with(master, "flags", "master,s_down"), replica, false},
		"a replica that is not known":   {with(master, "num-slaves", "1"), replica, false},
		"a Sentinel that is not known":  {with(master, "num-other-sentinels", "1"), replica, false},
		"a replica that is down":        {master, with(replica, "flags", "s_down,slave"), false},
		"a replica without link":        {master, with(replica, "master-link-status", "err"), false},
		"no answer":                     {nil, replica, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			replicas := []map[string]string{replica, test.replica}
			if problem := LackingInSentinel(test.master, replicas); (problem == "") != test.well {
				t.Errorf("problem %q", problem)
			}
		})
	}
}
