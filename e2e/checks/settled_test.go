// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"context"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

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

// setBack is a reader of a RedisHA whose status was set back a moment ago to when cache-0 was master, and whose
// operator promotes cache-0 while its Redis are asked.
type setBack struct {
	client.Reader

	reads int
	epoch int64 // from the second read on
}

func (r *setBack) Get(_ context.Context, _ client.ObjectKey, object client.Object, _ ...client.GetOption) error {
	rha, is := object.(*v1alpha1.RedisHA)
	if !is {
		return errors.ErrUnsupported
	}
	rha.Spec.Replicas = ptr.To[int32](1)
	rha.Status = v1alpha1.RedisHAStatus{
		ReadyReplicas: 1, Failover: &v1alpha1.FailoverStatus{State: v1alpha1.StateStable, Epoch: 1},
		Master:     &v1alpha1.MasterStatus{NodeRef: v1alpha1.NodeRef{Pod: "cache-0", PodUID: "u0"}, Since: metav1.NowMicro()},
		Conditions: []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue}},
	}
	if r.reads++; r.reads > 1 {
		rha.Status.Failover.Epoch = r.epoch
	}
	return nil
}

func (r *setBack) List(_ context.Context, list client.ObjectList, _ ...client.ListOption) error {
	pods, is := list.(*corev1.PodList)
	if !is {
		return errors.ErrUnsupported
	}
	pods.Items = []corev1.Pod{
		{
			ObjectMeta: metav1.ObjectMeta{Name: "cache-0", UID: "u0"},
			Status: corev1.PodStatus{
				Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
			},
		},
	}
	return nil
}

func TestASetIsUpToDateByAConditionOfItsPresentSpec(t *testing.T) {
	for name, test := range map[string]struct {
		conditions []metav1.Condition
		want       bool
	}{
		"yes":     {[]metav1.Condition{{Type: "Progressing", Reason: v1alpha1.ReasonUpToDate, ObservedGeneration: 2}}, true},
		"before":  {[]metav1.Condition{{Type: "Progressing", Reason: v1alpha1.ReasonUpToDate, ObservedGeneration: 1}}, false},
		"not yet": {[]metav1.Condition{{Type: "Progressing", Reason: "Updating", ObservedGeneration: 2}}, false},
		"unknown": {nil, false},
	} {
		rha := &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{Generation: 2}}
		rha.Status.Conditions = test.conditions
		if got := UpToDate(rha); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestWhatRedisSaysIsNotJudgedByAStatusFromBefore(t *testing.T) {
	for epoch, well := range map[int64]bool{1: true, 4: false} {
		info := func(*corev1.Pod) (redisclient.Info, error) {
			return redisclient.Info{Role: redisclient.RoleMaster}, nil
		}
		_, lacking, err := Settled(t.Context(), &setBack{epoch: epoch}, client.ObjectKey{Name: "cache"}, info)
		if err != nil || (lacking == "") != well {
			t.Errorf("epoch 1, then %d: %q, %v", epoch, lacking, err)
		}
	}
}
