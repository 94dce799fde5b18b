// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"maps"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/conditions"
	"github.com/redisha/redisha/controllers/controllertest"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/failover"
)

// life is a RedisHA of three in its second generation, with all that the condition Ready goes by.
type life struct {
	rha      *v1alpha1.RedisHA
	sts      *appsv1.StatefulSet
	pods     []corev1.Pod
	decision failover.Decision
	obs      failover.Observation
	now      time.Time
}

// wellOne is one with which all is well.
func wellOne() *life {
	l := &life{
		rha: controllertest.Shop(func(rha *v1alpha1.RedisHA) { rha.Generation, rha.Spec.Replicas = 2, ptr.To[int32](3) }),
	}
	l.sts = resources.StatefulSet(l.rha, 3)
	l.sts.UID, l.sts.Generation = "sts-uid", 5
	l.sts.Status = appsv1.StatefulSetStatus{ObservedGeneration: 5, UpdateRevision: "new"}
	own(l.sts, l.rha.UID)
	next := failover.Progress{
		Initialized: true,
		State:       failover.StateStable,
		Master:      &failover.Master{NodeRef: failover.NodeRef{Pod: "shop-0", UID: "shop-0"}},
	}
	for ordinal := range 3 {
		pod := controllertest.RunningPod(resources.PodName("shop", ordinal), "new")
		pod.UID = types.UID(pod.Name)
		own(&pod, l.sts.UID)
		l.pods = append(l.pods, pod)
		role := failover.RoleReplica
		if ordinal == 0 {
			role = failover.RoleMaster
		}
		next.Nodes = append(
			next.Nodes,
			failover.NodeRecord{NodeRef: failover.NodeRef{Pod: pod.Name, UID: pod.Name}, Role: role, LinkUp: ordinal > 0},
		)
		l.obs.Nodes = append(l.obs.Nodes, failover.Node{
			Name: pod.Name,
			UID:  pod.Name,
			RedisFacts: failover.RedisFacts{
				Contact:     failover.ContactAnswering,
				Sampled:     true,
				Replication: failover.Replication{Role: role},
			},
		})
	}
	l.decision = failover.Decision{Next: next}
	l.rha.Status.ObservedGeneration = 2
	l.says(v1alpha1.ConditionReconciled, true, v1alpha1.ReasonApplied, 2)
	l.says(v1alpha1.ConditionProgressing, false, v1alpha1.ReasonUpToDate, 2)
	return l
}

func own(object metav1.Object, owner types.UID) {
	object.SetOwnerReferences([]metav1.OwnerReference{{UID: owner, Controller: ptr.To(true)}})
}

// says is a word of the workload controller.
func (l *life) says(kind string, is bool, reason string, generation int64) {
	c := conditions.New(kind, is, reason, "words of "+reason)
	c.ObservedGeneration = generation
	meta.SetStatusCondition(&l.rha.Status.Conditions, c)
}

// ready is the condition Ready as it would be written now.
func (l *life) ready() metav1.Condition {
	c := readyCondition(
		l.rha,
		l.decision,
		sighting{Observation: l.obs, unfinished: unfinishedOf(l.rha, l.sts, l.pods, l.now)},
	)
	c.ObservedGeneration = l.rha.Generation
	return c
}

func TestReadyMeansThatThisGenerationIsAppliedAndThatThesePodsStay(t *testing.T) {
	if l := wellOne(); l.ready().Status != metav1.ConditionTrue {
		t.Fatalf("all is well, and Ready says %+v", l.ready())
	}
	now := metav1.Now()
	tests := map[string]struct {
		change func(l *life)
		reason string
	}{
		"it was only just created": {func(l *life) { l.rha.Status.Conditions = nil }, v1alpha1.ReasonSpecNotApplied},
		"the spec was only just changed": {func(l *life) {
			l.rha.Generation = 3
		}, v1alpha1.ReasonSpecNotApplied},
		"the password is refused": {func(l *life) {
			l.says(v1alpha1.ConditionReconciled, false, v1alpha1.ReasonPasswordInvalid, 2)
		}, v1alpha1.ReasonPasswordInvalid},
		"an image cannot be pulled": {func(l *life) {
			l.says(v1alpha1.ConditionProgressing, true, v1alpha1.ReasonImageNotPulled, 2)
			l.pods[1].Status.Conditions[0].Status = corev1.ConditionFalse
		}, v1alpha1.ReasonImageNotPulled},
		"no master was ever there": {
			func(l *life) { l.decision = failover.Decision{Message: "waiting for the first Redis to answer"} },
			v1alpha1.ReasonNoMaster,
		},
		"there is no StatefulSet": {func(l *life) { l.sts = &appsv1.StatefulSet{} }, v1alpha1.ReasonSpecNotApplied},
		"the StatefulSet is a former RedisHA's": {func(l *life) {
			own(l.sts, "former")
		}, v1alpha1.ReasonSpecNotApplied},
		"the StatefulSet is being deleted": {func(l *life) { l.sts.DeletionTimestamp = &now }, v1alpha1.ReasonSpecNotApplied},
		"the cache shows the StatefulSet from before the change": {func(l *life) {
			l.rha.Spec.Image = "redis:8"
		}, v1alpha1.ReasonSpecNotApplied},
		"the StatefulSet controller has not seen the change": {
			func(l *life) { l.sts.Generation++ },
			v1alpha1.ReasonSpecNotApplied,
		},
		"the StatefulSet is to grow": {func(l *life) {
			l.sts.Spec.Replicas = ptr.To[int32](2)
		}, v1alpha1.ReasonScaling},
		"a pod is missing": {func(l *life) { l.pods = l.pods[:2] }, v1alpha1.ReasonNodesMissing},
		"a pod is one too many": {func(l *life) {
			pod := *l.pods[2].DeepCopy()
			pod.Name = resources.PodName("shop", 3)
			l.pods = append(l.pods, pod)
		}, v1alpha1.ReasonScaling},
		"a pod is being deleted":  {func(l *life) { l.pods[2].DeletionTimestamp = &now }, v1alpha1.ReasonNodesLeaving},
		"a pod is another one's":  {func(l *life) { own(&l.pods[2], "former") }, v1alpha1.ReasonNodesLeaving},
		"a pod is to be replaced": {func(l *life) { l.pods[2] = outdatedPod(l.pods[2]) }, v1alpha1.ReasonNodesOutdated},
		"the master waits for a maintenance window": {func(l *life) {
			l.rha.Spec.MaintenanceWindows = []v1alpha1.MaintenanceWindow{{Schedule: "0 3 1 1 *", DurationMinutes: 60}}
			l.rha.Status.Master = &v1alpha1.MasterStatus{NodeRef: v1alpha1.NodeRef{Pod: "shop-0"}}
			l.now = time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
			l.pods[0] = outdatedPod(l.pods[0])
		}, v1alpha1.ReasonNodesOutdated},
		"a process is to be told": {func(l *life) {
			l.rha.Spec.Config = map[string]v1alpha1.ConfigValue{"hz": "20"}
			l.sts.Spec.Template = resources.StatefulSet(l.rha, 3).Spec.Template
			l.pods[2].Annotations[v1alpha1.AnnotationSpecHash] = resources.SpecHash(l.rha)
			l.pods[2].Annotations[v1alpha1.AnnotationSettings] = ""
		}, v1alpha1.ReasonNodesOutdated},
		"the settings have not reached the template": {func(l *life) {
			l.rha.Spec.Config = map[string]v1alpha1.ConfigValue{"hz": "20"}
		}, v1alpha1.ReasonSpecNotApplied},
		"the resources have not reached the template": {func(l *life) {
			l.rha.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}
		}, v1alpha1.ReasonSpecNotApplied},
		"a pod is to be resized": {func(l *life) {
			l.rha.Spec.Resources.Requests = corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("1")}
			l.sts.Spec.Template = resources.StatefulSet(l.rha, 3).Spec.Template
			for i := range l.pods {
				l.pods[i].Annotations = maps.Clone(l.sts.Spec.Template.Annotations)
				l.pods[i].Annotations[v1alpha1.AnnotationResources] = ""
			}
		}, v1alpha1.ReasonNodesOutdated},
		"a pod is not ready": {func(l *life) { controllertest.Unready(&l.pods[2]) }, v1alpha1.ReasonNodesNotReady},
		"a replica does not follow": {func(l *life) {
			l.decision.Next.Nodes[2].LinkUp = false
		}, v1alpha1.ReasonReplicasSyncing},
		"a failover runs": {
			func(l *life) { l.decision.Next.State = failover.StateFencing },
			v1alpha1.ReasonFailoverInProgress,
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			l := wellOne()
			tc.change(l)
			got := l.ready()
			if got.Status != metav1.ConditionFalse || got.Reason != tc.reason || got.Message == "" {
				t.Errorf("Ready is %s because of %s: %s", got.Status, got.Reason, got.Message)
			}
		})
	}
}

func outdatedPod(pod corev1.Pod) corev1.Pod {
	old := *pod.DeepCopy()
	old.Labels[appsv1.ControllerRevisionHashLabelKey], old.Annotations[v1alpha1.AnnotationSpecHash] = "old", "old"
	return old
}

func TestAFailoverIsPossibleIfTheCoreWouldMakeIt(t *testing.T) {
	now := time.Now()
	for name, tc := range map[string]struct {
		change func(l *life)
		reason string
	}{
		"all is well":               {func(*life) {}, v1alpha1.ReasonCandidateAvailable},
		"every machine is cordoned": {func(l *life) { l.nodes(func(n *failover.Node) { n.Cordoned = true }) }, v1alpha1.ReasonCandidateAvailable},
		"every pod is outdated":     {func(l *life) { l.nodes(func(n *failover.Node) { n.Outdated = true }) }, v1alpha1.ReasonCandidateAvailable},
		"no replica may lead":       {func(l *life) { l.nodes(func(n *failover.Node) { n.Replication.Priority = 0 }) }, v1alpha1.ReasonNoCandidate},
		"no replica answers": {func(l *life) {
			l.nodes(func(n *failover.Node) { n.Contact = failover.ContactRefused })
			l.decision.Next.Nodes[1].LinkUp, l.decision.Next.Nodes[2].LinkUp = false, false
		}, v1alpha1.ReasonNoReplica},
		"there is one pod":      {func(l *life) { l.rha.Spec.Replicas = ptr.To[int32](1) }, v1alpha1.ReasonSingleNode},
		"a person is in charge": {func(l *life) { l.rha.Spec.Failover.Mode = v1alpha1.ModeManual }, v1alpha1.ReasonManualMode},
		"nothing is done":       {func(l *life) { l.rha.Spec.Failover.Mode = v1alpha1.ModePaused }, v1alpha1.ReasonPausedBySpec},
	} {
		t.Run(name, func(t *testing.T) {
			l := wellOne()
			l.nodes(func(n *failover.Node) {
				n.Replication.Priority, n.Replication.Lineage = 100, failover.Lineage{ReplID: "history", Offset: 7}
			})
			tc.change(l)
			got := possibleCondition(l.rha, l.decision, l.obs, now)
			if is := tc.reason == v1alpha1.ReasonCandidateAvailable; got.Reason != tc.reason ||
				(got.Status == metav1.ConditionTrue) != is {
				t.Errorf("FailoverPossible is %s because of %s: %s", got.Status, got.Reason, got.Message)
			}
		})
	}
}

func (l *life) nodes(change func(*failover.Node)) {
	for i := range l.obs.Nodes {
		change(&l.obs.Nodes[i])
	}
	l.decision.Next.Master.Lineage = l.obs.Nodes[0].Replication.Lineage
}

// A replica that misses one probe is back at the next, and each of the two would be a write.
func TestAnotherAnswerAboutFailoverPossibleIsToldOnceItLasts(t *testing.T) {
	rha, clock := controllertest.Shop(nil), clocktesting.NewFakeClock(time.Now())
	yes := conditions.New(v1alpha1.ConditionFailoverPossible, true, v1alpha1.ReasonCandidateAvailable, "")
	no := conditions.New(v1alpha1.ConditionFailoverPossible, false, v1alpha1.ReasonNoCandidate, "")
	var t1 telling
	tell := func(is metav1.Condition, passed time.Duration) bool {
		clock.Step(passed)
		got := t1.settled(rha, is, clock.Now())
		meta.SetStatusCondition(&rha.Status.Conditions, got)
		return got.Status == metav1.ConditionTrue
	}
	if !tell(yes, 0) {
		t.Error("the first answer waits")
	}
	for range 5 {
		if !tell(no, 300*time.Millisecond) || !tell(yes, 300*time.Millisecond) {
			t.Fatal("an answer that did not last was told")
		}
	}
	if wait := t1.pending(); wait != failover.OnEvent() {
		t.Errorf("the next look is %s, though all is well", wait)
	}
	if tell(no, 0); t1.pending() == failover.OnEvent() {
		t.Error("an answer is about to be told, and no look is due")
	}
	if tell(no, possibleAfter) {
		t.Error("an answer that lasted was not told")
	}
	if wait := t1.pending(); wait != failover.After(possibleAgain) {
		t.Errorf("whether a failover is possible again is looked at %s", wait)
	}
}
