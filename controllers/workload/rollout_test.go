// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/controllertest"
	"github.com/redisha/redisha/controllers/podstate"
	"github.com/redisha/redisha/controllers/resources"
)

var rolloutNow = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// aRollout has three ready, running, outdated pods and a stable master shop-0.
func aRollout(change func(*rollout)) rollout {
	r := rollout{
		now: rolloutNow,
		rha: &v1alpha1.RedisHA{
			ObjectMeta: metav1.ObjectMeta{Name: "shop"},
			Spec:       v1alpha1.RedisHASpec{Replicas: ptr.To[int32](3)},
			Status: v1alpha1.RedisHAStatus{
				Master:   &v1alpha1.MasterStatus{NodeRef: v1alpha1.NodeRef{Pod: "shop-0"}},
				Failover: &v1alpha1.FailoverStatus{State: v1alpha1.StateStable},
			},
		},
		sts: &appsv1.StatefulSet{
			ObjectMeta: metav1.ObjectMeta{Generation: 2},
			Spec: appsv1.StatefulSetSpec{Replicas: ptr.To[int32](3), Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{v1alpha1.AnnotationSpecHash: "new"}},
			}},
			Status: appsv1.StatefulSetStatus{ObservedGeneration: 2, UpdateRevision: "new"},
		},
	}
	for ordinal := range 3 {
		r.pods = append(r.pods, controllertest.RunningPod(resources.PodName("shop", ordinal), "old"))
	}
	if change != nil {
		change(&r)
	}
	return r
}

// inStatus has the status say what a pod's Redis is.
func inStatus(r *rollout, ordinal int, role, link string) {
	pod := &r.pods[ordinal]
	pod.UID = types.UID("uid-" + pod.Name)
	r.rha.Status.Nodes = append(
		r.rha.Status.Nodes, v1alpha1.NodeStatus{Pod: pod.Name, PodUID: string(pod.UID), Role: role, Link: link},
	)
}

// beside puts a container beside Redis; the pod is ready if it is.
func beside(pod *corev1.Pod, status corev1.ContainerStatus) {
	status.Name = "exporter"
	pod.Status.ContainerStatuses = append(pod.Status.ContainerStatuses, status)
	if !status.Ready {
		pod.Status.Conditions[0].Status = corev1.ConditionFalse
	}
}

// crashing is a container that ends each time, while it waits to be started anew.
func crashing(restarts int32) corev1.ContainerStatus {
	return corev1.ContainerStatus{
		RestartCount: restarts,
		State:        corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}},
		LastTerminationState: corev1.ContainerState{
			Terminated: &corev1.ContainerStateTerminated{ExitCode: 2, Message: "usage:\nunknown flag --redis\n"},
		},
	}
}

func readyFor(pod *corev1.Pod, ago time.Duration) {
	pod.Status.Conditions[0].LastTransitionTime = metav1.NewTime(rolloutNow.Add(-ago))
}

func pullingBadImage(pod *corev1.Pod) {
	controllertest.Unready(pod)
	pod.Status.ContainerStatuses[0].State = corev1.ContainerState{
		Waiting: &corev1.ContainerStateWaiting{Reason: "ImagePullBackOff"},
	}
}

// tomorrow has the next maintenance window begin.
func tomorrow(r *rollout) {
	r.rha.Spec.MaintenanceWindows = []v1alpha1.MaintenanceWindow{{Schedule: "0 3 * * *", DurationMinutes: 60}}
}

// alone leaves one pod.
func alone(r *rollout) {
	r.rha.Spec.Replicas, r.sts.Spec.Replicas = ptr.To[int32](1), ptr.To[int32](1)
	r.pods = r.pods[:1]
}

// masterLeaves has the spec want two of the three pods, and the third be master.
func masterLeaves(r *rollout) {
	r.rha.Spec.Replicas, r.rha.Status.Master.Pod = ptr.To[int32](2), "shop-2"
	for i := range r.pods {
		current(&r.pods[i])
	}
}

func current(pod *corev1.Pod) { *pod = controllertest.RunningPod(pod.Name, "new") }

func TestRolloutReplacesOnePodAtATimeAndTheMasterLast(t *testing.T) {
	tests := map[string]struct {
		change func(*rollout)
		want   string
		reason string
	}{
		"the highest replica goes first": {want: "shop-2", reason: v1alpha1.ReasonRollingOut},
		"supervised, replicas are replaced": {
			change: func(r *rollout) { r.rha.Spec.UpdateStrategy.Type = v1alpha1.UpdateSupervised; current(&r.pods[2]) },
			want:   "shop-1", reason: v1alpha1.ReasonRollingOut,
		},
		"supervised, a person is waited for before the master": {
			change: func(r *rollout) {
				r.rha.Spec.UpdateStrategy.Type = v1alpha1.UpdateSupervised
				current(&r.pods[1])
				current(&r.pods[2])
			},
			reason: v1alpha1.ReasonWaitingForApproval,
		},
		"supervised, a former master is a replica": {
			change: func(r *rollout) {
				r.rha.Spec.UpdateStrategy.Type = v1alpha1.UpdateSupervised
				r.rha.Status.Master.Pod = "shop-2"
				current(&r.pods[1])
				current(&r.pods[2])
			},
			want: "shop-0", reason: v1alpha1.ReasonRollingOut,
		},
		"supervised, a person is not asked while a pod with the change is not well": {
			change: func(r *rollout) {
				r.rha.Spec.UpdateStrategy.Type = v1alpha1.UpdateSupervised
				current(&r.pods[1])
				current(&r.pods[2])
				beside(&r.pods[1], crashing(1))
			},
			reason: v1alpha1.ReasonRolloutStopped,
		},
		"outside of the maintenance windows, replicas are replaced": {
			change: func(r *rollout) { tomorrow(r); current(&r.pods[2]) },
			want:   "shop-1", reason: v1alpha1.ReasonRollingOut,
		},
		"outside of the maintenance windows, the master waits": {
			change: func(r *rollout) { tomorrow(r); current(&r.pods[1]); current(&r.pods[2]) },
			reason: v1alpha1.ReasonWaitingForMaintenanceWindow,
		},
		"outside of them, an only pod waits as well": {
			change: func(r *rollout) { tomorrow(r); alone(r) },
			reason: v1alpha1.ReasonWaitingForMaintenanceWindow,
		},
		"an only pod that runs nothing does not": {
			change: func(r *rollout) { tomorrow(r); alone(r); pullingBadImage(&r.pods[0]) },
			want:   "shop-0", reason: v1alpha1.ReasonRollingOut,
		},
		"within them, the master is switched over": {
			change: func(r *rollout) {
				r.rha.Spec.MaintenanceWindows = []v1alpha1.MaintenanceWindow{{Schedule: "30 11 * * *", DurationMinutes: 60}}
				current(&r.pods[1])
				current(&r.pods[2])
			},
			reason: v1alpha1.ReasonWaitingForSwitchover,
		},
		"outside of them, a restart that was asked for takes the master, too": {
			change: func(r *rollout) {
				tomorrow(r)
				alone(r)
				r.sts.Spec.Template.Annotations["kubectl.kubernetes.io/restartedAt"] = "now"
			},
			want: "shop-0", reason: v1alpha1.ReasonRollingOut,
		},
		"outside of them, no window is waited for while a pod with the change is not well": {
			change: func(r *rollout) {
				tomorrow(r)
				current(&r.pods[1])
				current(&r.pods[2])
				beside(&r.pods[1], crashing(1))
			},
			reason: v1alpha1.ReasonRolloutStopped,
		},
		"outside of them, a person is waited for if it is the person's": {
			change: func(r *rollout) {
				tomorrow(r)
				r.rha.Spec.UpdateStrategy.Type = v1alpha1.UpdateSupervised
				current(&r.pods[1])
				current(&r.pods[2])
			},
			reason: v1alpha1.ReasonWaitingForApproval,
		},
		"outside of them, a master that is to be removed stays": {
			change: func(r *rollout) { tomorrow(r); masterLeaves(r) },
			reason: v1alpha1.ReasonWaitingForMaintenanceWindow,
		},
		"without them it does not": {
			change: masterLeaves,
			reason: v1alpha1.ReasonWaitingForSwitchover,
		},
		"supervised, a person is not asked while the last replica leaves": {
			change: func(r *rollout) {
				r.rha.Spec.UpdateStrategy.Type = v1alpha1.UpdateSupervised
				r.pods[1].DeletionTimestamp = ptr.To(metav1.Now())
				current(&r.pods[2])
			},
			reason: v1alpha1.ReasonWaitingForNodes,
		},
		"outside of the maintenance windows, none is waited for while the last replica leaves": {
			change: func(r *rollout) {
				tomorrow(r)
				r.pods[1].DeletionTimestamp = ptr.To(metav1.Now())
				current(&r.pods[2])
			},
			reason: v1alpha1.ReasonWaitingForNodes,
		},
		"on delete, none is replaced": {
			change: func(r *rollout) {
				r.rha.Spec.UpdateStrategy.Type = v1alpha1.UpdateOnDelete
				pullingBadImage(&r.pods[1])
			},
			reason: v1alpha1.ReasonWaitingForDeletion,
		},
		"on delete, a restart that was asked for goes its way": {
			change: func(r *rollout) {
				r.rha.Spec.UpdateStrategy.Type = v1alpha1.UpdateOnDelete
				r.sts.Spec.Template.Annotations["kubectl.kubernetes.io/restartedAt"] = "now"
			},
			want: "shop-2", reason: v1alpha1.ReasonRollingOut,
		},
		"the next waits until the first is back": {
			change: func(r *rollout) { r.pods = r.pods[:2] },
			reason: v1alpha1.ReasonWaitingForNodes,
		},
		"the next waits until the first is ready": {
			change: func(r *rollout) { current(&r.pods[2]); controllertest.Unready(&r.pods[2]) },
			reason: v1alpha1.ReasonWaitingForNodes,
		},
		"the next waits while the process of the first was started anew and does not follow yet": {
			change: func(r *rollout) { current(&r.pods[2]); inStatus(r, 2, v1alpha1.RoleReplica, v1alpha1.LinkDown) },
			reason: v1alpha1.ReasonWaitingForNodes,
		},
		"the next does not wait for what a pod of that name was before": {
			change: func(r *rollout) {
				current(&r.pods[2])
				inStatus(r, 2, v1alpha1.RoleReplica, v1alpha1.LinkDown)
				r.pods[2].UID = "another"
			},
			want: "shop-1", reason: v1alpha1.ReasonRollingOut,
		},
		"the next goes when all are known to be in sync": {
			change: func(r *rollout) {
				current(&r.pods[2])
				inStatus(r, 0, v1alpha1.RoleMaster, "")
				inStatus(r, 2, v1alpha1.RoleReplica, v1alpha1.LinkUp)
			},
			want: "shop-1", reason: v1alpha1.ReasonRollingOut,
		},
		"the next waits while another leaves": {
			change: func(r *rollout) { r.pods[2].DeletionTimestamp = ptr.To(metav1.Now()) },
			reason: v1alpha1.ReasonWaitingForNodes,
		},
		"then the next replica": {
			change: func(r *rollout) { current(&r.pods[2]) },
			want:   "shop-1", reason: v1alpha1.ReasonRollingOut,
		},
		"replicas go before a master of a high ordinal": {
			change: func(r *rollout) { r.rha.Status.Master.Pod = "shop-2" },
			want:   "shop-1", reason: v1alpha1.ReasonRollingOut,
		},
		"the outdated master waits for the switchover": {
			change: func(r *rollout) { current(&r.pods[1]); current(&r.pods[2]) },
			reason: v1alpha1.ReasonWaitingForSwitchover,
		},
		"the old master goes after the switchover": {
			change: func(r *rollout) {
				current(&r.pods[1])
				current(&r.pods[2])
				r.rha.Status.Master.Pod = "shop-1"
			},
			want: "shop-0", reason: v1alpha1.ReasonRollingOut,
		},
		"a single master has no replica to switch over to": {
			change: alone,
			want:   "shop-0", reason: v1alpha1.ReasonRollingOut,
		},
		"nothing is replaced during a failover": {
			change: func(r *rollout) { r.rha.Status.Failover.State = v1alpha1.StateFencing },
			reason: v1alpha1.ReasonWaitingForNodes,
		},
		"nothing is replaced while paused": {
			change: func(r *rollout) { r.rha.Spec.Failover.Mode = v1alpha1.ModePaused },
			reason: v1alpha1.ReasonRolloutPaused,
		},
		"a change whose sidecar crashes stops at the first pod": {
			change: func(r *rollout) { current(&r.pods[2]); beside(&r.pods[2], crashing(3)) },
			reason: v1alpha1.ReasonRolloutStopped,
		},
		"a sidecar that was up for a second does not let it go on": {
			change: func(r *rollout) {
				current(&r.pods[2])
				beside(&r.pods[2], corev1.ContainerStatus{Ready: true})
				readyFor(&r.pods[2], time.Second)
			},
			reason: v1alpha1.ReasonWaitingForNodes,
		},
		"nor one that ended and is up for longer than the first time": {
			change: func(r *rollout) {
				current(&r.pods[2])
				status := crashing(1)
				status.Ready, status.State = true, corev1.ContainerState{Running: &corev1.ContainerStateRunning{
					StartedAt: metav1.NewTime(rolloutNow.Add(-15 * time.Second)),
				}}
				beside(&r.pods[2], status)
				readyFor(&r.pods[2], 15*time.Second)
			},
			reason: v1alpha1.ReasonRolloutStopped,
		},
		"one that has ended often, and not for long, is well": {
			change: func(r *rollout) {
				current(&r.pods[2])
				status := crashing(100)
				status.Ready, status.State = true, corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
				beside(&r.pods[2], status)
				readyFor(&r.pods[2], podstate.ProvenAtMost)
			},
			want: "shop-1", reason: v1alpha1.ReasonRollingOut,
		},
		"a sidecar whose liveness probe has not had the time to fail": {
			change: func(r *rollout) {
				current(&r.pods[2])
				beside(&r.pods[2], corev1.ContainerStatus{Ready: true})
				readyFor(&r.pods[2], 20*time.Second)
				r.pods[2].Spec.Containers = []corev1.Container{
					{Name: "exporter", LivenessProbe: &corev1.Probe{PeriodSeconds: 10, FailureThreshold: 3}},
				}
			},
			reason: v1alpha1.ReasonWaitingForNodes,
		},
		"a pod that stays ready lets it go on": {
			change: func(r *rollout) { current(&r.pods[2]); readyFor(&r.pods[2], podstate.ProvenAfter) },
			want:   "shop-1", reason: v1alpha1.ReasonRollingOut,
		},
		"a machine whose clock is ahead does not hold it up": {
			change: func(r *rollout) { current(&r.pods[2]); readyFor(&r.pods[2], -time.Hour) },
			want:   "shop-1", reason: v1alpha1.ReasonRollingOut,
		},
		"a sidecar that never becomes ready stops it": {
			change: func(r *rollout) {
				current(&r.pods[2])
				beside(&r.pods[2], corev1.ContainerStatus{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}})
			},
			reason: v1alpha1.ReasonRolloutStopped,
		},
		"one that was created a moment ago is waited for": {
			change: func(r *rollout) {
				current(&r.pods[2])
				beside(&r.pods[2], corev1.ContainerStatus{State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}})
				r.pods[2].CreationTimestamp = metav1.NewTime(rolloutNow.Add(-time.Second))
			},
			reason: v1alpha1.ReasonWaitingForNodes,
		},
		"a mended spec reaches pods whose sidecars all crash": {
			change: func(r *rollout) {
				for i := range r.pods {
					beside(&r.pods[i], crashing(9))
				}
			},
			want: "shop-2", reason: v1alpha1.ReasonRollingOut,
		},
		"a mended spec reaches the pod that stopped the last one first": {
			change: func(r *rollout) { controllertest.Unready(&r.pods[1]); controllertest.Unready(&r.pods[2]) },
			want:   "shop-2", reason: v1alpha1.ReasonRollingOut,
		},
		"broken replicas are replaced one at a time, too": {
			change: func(r *rollout) { controllertest.Unready(&r.pods[1]); r.pods = r.pods[:2] },
			reason: v1alpha1.ReasonWaitingForNodes,
		},
		"a broken replica waits while the master does not serve": {
			change: func(r *rollout) { controllertest.Unready(&r.pods[0]); controllertest.Unready(&r.pods[2]) },
			reason: v1alpha1.ReasonWaitingForNodes,
		},
		"a replica whose link has just ended is not broken": {
			change: func(r *rollout) {
				inStatus(r, 0, v1alpha1.RoleUnknown, "")
				inStatus(r, 1, v1alpha1.RoleReplica, v1alpha1.LinkDown)
				inStatus(r, 2, v1alpha1.RoleReplica, v1alpha1.LinkDown)
			},
			reason: v1alpha1.ReasonWaitingForNodes,
		},
		"the master is not given to a pod that is not well": {
			change: func(r *rollout) {
				current(&r.pods[1])
				current(&r.pods[2])
				beside(&r.pods[1], crashing(1))
			},
			reason: v1alpha1.ReasonRolloutStopped,
		},
		"while the change is in doubt, a pod that is being started anew keeps what it has": {
			change: func(r *rollout) {
				current(&r.pods[2])
				controllertest.Unready(&r.pods[2])
				controllertest.Unready(&r.pods[1])
				r.pods[1].Status.ContainerStatuses[0].State = corev1.ContainerState{
					Terminated: &corev1.ContainerStateTerminated{ExitCode: 137},
				}
			},
			reason: v1alpha1.ReasonWaitingForNodes,
		},
		"in doubt or not, a pod that never ran is replaced": {
			change: func(r *rollout) { current(&r.pods[2]); controllertest.Unready(&r.pods[2]); pullingBadImage(&r.pods[1]) },
			want:   "shop-1", reason: v1alpha1.ReasonRollingOut,
		},
		"a lost status and crashing sidecars are not mistaken for a set without data": {
			change: func(r *rollout) {
				r.rha.Status = v1alpha1.RedisHAStatus{}
				for i := range r.pods {
					beside(&r.pods[i], crashing(9))
				}
			},
			reason: v1alpha1.ReasonWaitingForNodes,
		},
		"nor is a lost status while the master is away": {
			change: func(r *rollout) {
				r.rha.Status = v1alpha1.RedisHAStatus{}
				for i := range r.pods {
					controllertest.Unready(&r.pods[i])
					r.pods[i].Labels[v1alpha1.LabelRole] = v1alpha1.RoleReplica
				}
			},
			reason: v1alpha1.ReasonWaitingForNodes,
		},
		"an unready outdated replica goes before a ready one": {
			change: func(r *rollout) { controllertest.Unready(&r.pods[1]) },
			want:   "shop-1", reason: v1alpha1.ReasonRollingOut,
		},
		"pods that never ran the bad image are replaced at once, whatever the others do": {
			change: func(r *rollout) {
				pullingBadImage(&r.pods[1])
				pullingBadImage(&r.pods[2])
				r.rha.Status.Failover.State = v1alpha1.StateBlocked
			},
			want: "shop-1, shop-2", reason: v1alpha1.ReasonRollingOut,
		},
		"before the first promotion all are replaced at once": {
			change: func(r *rollout) {
				r.rha.Status.Master = nil
				controllertest.Unready(&r.pods[0])
				controllertest.Unready(&r.pods[1])
				controllertest.Unready(&r.pods[2])
			},
			want: "shop-0, shop-1, shop-2", reason: v1alpha1.ReasonRollingOut,
		},
		"a lost status is not mistaken for a set without data": {
			change: func(r *rollout) { r.rha.Status = v1alpha1.RedisHAStatus{} },
			reason: v1alpha1.ReasonWaitingForNodes,
		},
		"a StatefulSet whose status is behind is waited for": {
			change: func(r *rollout) { r.sts.Generation = 3 },
			reason: v1alpha1.ReasonRollingOut,
		},
		"nothing is replaced when all are current": {
			change: func(r *rollout) { current(&r.pods[0]); current(&r.pods[1]); current(&r.pods[2]) },
			reason: v1alpha1.ReasonUpToDate,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			pods, progress := aRollout(tc.change).replaceable()
			if got := podNames(pods); got != tc.want {
				t.Errorf("replaces %q, want %q (%s)", got, tc.want, progress.message)
			}
			if diff := cmp.Diff(tc.reason, progress.reason); diff != "" {
				t.Errorf("reason (-want +got):\n%s", diff)
			}
			if strings.TrimSpace(progress.message) == "" {
				t.Error("no sentence for a person")
			}
		})
	}
}

func TestScaleDownWaitsForTheMasterToStay(t *testing.T) {
	tests := map[string]struct {
		wanted int32
		change func(*rollout)
		want   int32
	}{
		"up at once":                 {wanted: 5, want: 5},
		"down when the master stays": {wanted: 1, want: 1},
		"not while the master would go": {
			wanted: 2,
			change: func(r *rollout) { r.rha.Status.Master.Pod = "shop-2" },
			want:   3,
		},
		"not during a failover": {
			wanted: 2,
			change: func(r *rollout) { r.rha.Status.Failover.State = v1alpha1.StatePromoting },
			want:   3,
		},
		"not before one of those that stay is in sync": {
			wanted: 2,
			change: func(r *rollout) { controllertest.Unready(&r.pods[1]) },
			want:   3,
		},
		"not before its process, started anew, follows": {
			wanted: 2,
			change: func(r *rollout) { inStatus(r, 1, v1alpha1.RoleReplica, v1alpha1.LinkDown) },
			want:   3,
		},
		"though another one that stays never starts": {wanted: 3, change: func(r *rollout) {
			r.sts.Spec.Replicas = ptr.To[int32](4)
			controllertest.Unready(&r.pods[1])
		}, want: 3},
		"Strict waits for all that stay": {wanted: 3, change: func(r *rollout) {
			r.rha.Spec.Failover.Consistency = v1alpha1.ConsistencyStrict
			r.sts.Spec.Replicas = ptr.To[int32](4)
			controllertest.Unready(&r.pods[1])
		}, want: 4},
		"Strict, all that stay in sync": {
			wanted: 2,
			change: func(r *rollout) { r.rha.Spec.Failover.Consistency = v1alpha1.ConsistencyStrict },
			want:   2,
		},
		"down before there is any master": {wanted: 2, change: func(r *rollout) { r.rha.Status.Master = nil }, want: 2},
		"a new StatefulSet as wanted":     {wanted: 2, change: func(r *rollout) { r.sts = nil }, want: 2},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			r := aRollout(tc.change)
			r.rha.Spec.Replicas = ptr.To(tc.wanted)
			if got := r.replicas(); got != tc.want {
				t.Errorf("replicas = %d, want %d", got, tc.want)
			}
		})
	}
}

func TestARolloutThatStoppedSaysAtWhichPodAndWhatIsWrongWithIt(t *testing.T) {
	_, progress := aRollout(func(r *rollout) { current(&r.pods[2]); beside(&r.pods[2], crashing(3)) }).replaceable()
	want := "2 outdated, next is shop-1; shop-2 has the change and is not well: container exporter has ended"
	if progress.message != want {
		t.Errorf("it says %q", progress.message)
	}
}

func TestARolloutThatWaitsForTimeToPassLooksAgainThen(t *testing.T) {
	r := aRollout(func(r *rollout) { current(&r.pods[2]); readyFor(&r.pods[2], 4*time.Second) })
	if again := r.provenIn(); again != podstate.ProvenAfter-4*time.Second {
		t.Errorf("again after %s", again)
	}
}

func TestAMasterThatWaitsForAWindowIsToldTheSameUntilItOpens(t *testing.T) {
	says := func(change func(*rollout)) string {
		_, progress := aRollout(func(r *rollout) {
			current(&r.pods[1])
			current(&r.pods[2])
			change(r)
		}).replaceable()
		return progress.message
	}
	want := "master shop-0 is outdated; the next maintenance window begins at 2026-11-30 03:00 UTC: " +
		"to have it now, request a switchover, or remove spec.maintenanceWindows"
	for _, passed := range []time.Duration{0, time.Minute, 14 * time.Hour} {
		if got := says(func(r *rollout) { tomorrow(r); r.now = r.now.Add(passed) }); got != want {
			t.Errorf("%s later it says %q", passed, got)
		}
	}
	if got := says(func(r *rollout) { tomorrow(r); alone(r) }); !strings.Contains(got, "now, request a restart, or") {
		t.Errorf("of an only pod it says %q", got)
	}
	got := says(func(r *rollout) { tomorrow(r); r.rha.Spec.MaintenanceWindows[0].Schedule = "0 0 31 2 *" })
	if !strings.Contains(got, `because of spec.maintenanceWindows[0].schedule: "0 0 31 2 *" never comes`) {
		t.Errorf("of one that never comes it says %q", got)
	}
}
