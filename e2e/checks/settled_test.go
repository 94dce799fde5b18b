// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/redisclient"
)

func TestNoNodeIsInPlaceThatIsNotWhereTheStatusSays(t *testing.T) {
	master := &v1alpha1.MasterStatus{NodeRef: v1alpha1.NodeRef{Pod: "cache-0", PodUID: "u0", IP: "198.18.1.2"}}
	following := redisclient.Info{Role: redisclient.RoleReplica, MasterHost: master.IP, LinkUp: true}
	elsewhere, down, syncing := following, following, following
	elsewhere.MasterHost, down.LinkUp, syncing.SyncInProgress = "198.18.1.3", false, true
	tests := map[string]struct {
		pod, uid string
		info     redisclient.Info
		inPlace  bool
	}{
		"the master":             {"cache-0", "u0", redisclient.Info{Role: redisclient.RoleMaster}, true},
		"its demoted process":    {"cache-0", "u0", following, false},
		"a new pod of that name": {"cache-0", "u9", redisclient.Info{Role: redisclient.RoleMaster}, false},
		"a replica":              {"cache-1", "u1", following, true},
		"a second master":        {"cache-1", "u1", redisclient.Info{Role: redisclient.RoleMaster}, false},
		"a replica of another":   {"cache-1", "u1", elsewhere, false},
		"a replica without link": {"cache-1", "u1", down, false},
		"a replica that syncs":   {"cache-1", "u1", syncing, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: test.pod, UID: types.UID(test.uid)}}
			if problem := outOfPlace(pod, master, test.info); (problem == "") != test.inPlace {
				t.Errorf("problem %q", problem)
			}
		})
	}
}
