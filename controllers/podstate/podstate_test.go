// SPDX-License-Identifier: Apache-2.0

package podstate

import (
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
)

var now = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// readySince is a pod that has been ready for a while.
func readySince(ago time.Duration) *corev1.Pod {
	pod := &corev1.Pod{}
	pod.Status.Conditions = []corev1.PodCondition{{
		Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(now.Add(-ago)),
	}}
	return pod
}

func restarted(pod *corev1.Pod, times int32) *corev1.Pod {
	pod.Status.ContainerStatuses = []corev1.ContainerStatus{{RestartCount: times}}
	return pod
}

func TestAPodIsProvenOnceItHasBeenReadyForLongerTheMoreOftenItsContainersEnded(t *testing.T) {
	unready := readySince(time.Hour)
	unready.Status.Conditions[0].Status = corev1.ConditionFalse
	for name, tc := range map[string]struct {
		pod  *corev1.Pod
		want bool
	}{
		"it has no condition yet":              {&corev1.Pod{}, false},
		"it was ready and is not":              {unready, false},
		"it is ready since a moment ago":       {readySince(ProvenAfter - time.Second), false},
		"it has been ready for long enough":    {readySince(ProvenAfter), true},
		"its machine's clock is ahead of ours": {readySince(-time.Hour), true},
		"it has ended once":                    {restarted(readySince(ProvenAfter), 1), false},
		"it has ended once, long ago":          {restarted(readySince(2*ProvenAfter), 1), true},
		"it has ended ever so often":           {restarted(readySince(ProvenAtMost), 1000), true},
	} {
		if got := IsProven(tc.pod, now); got != tc.want {
			t.Errorf("%s: proven %t", name, got)
		}
	}
}

func TestWhichOutdatedPodIsReplacedWithoutBeingAskedForAgain(t *testing.T) {
	rha := &v1alpha1.RedisHA{Status: v1alpha1.RedisHAStatus{
		Master: &v1alpha1.MasterStatus{NodeRef: v1alpha1.NodeRef{Pod: "cache-0"}},
	}}
	sts := &appsv1.StatefulSet{}
	sts.Status.UpdateRevision = "new"
	sts.Spec.Template.Annotations = map[string]string{v1alpha1.AnnotationSpecHash: "wanted"}
	restarted := sts.DeepCopy()
	restarted.Spec.Template.Annotations["kubectl.kubernetes.io/restartedAt"] = "now"
	for strategy, want := range map[v1alpha1.UpdateStrategyType]struct{ master, replica bool }{
		"":                        {true, true}, // of an object that was written before there were strategies
		v1alpha1.UpdateAutomatic:  {true, true},
		v1alpha1.UpdateSupervised: {false, true},
		v1alpha1.UpdateOnDelete:   {false, false},
	} {
		rha.Spec.UpdateStrategy.Type = strategy
		for name, due := range map[string]bool{"cache-0": want.master, "cache-1": want.replica} {
			pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
				Name: name, Labels: map[string]string{appsv1.ControllerRevisionHashLabelKey: "old"},
				Annotations: map[string]string{v1alpha1.AnnotationSpecHash: "former"},
			}}
			if got := IsDue(rha, sts, pod); got != due {
				t.Errorf("%q: %s is due: %t", strategy, name, got)
			}
			if !IsDue(rha, restarted, pod) {
				t.Errorf("%q: a restart was asked for, and %s is not due", strategy, name)
			}
		}
	}
}

func TestWhichPodIsHeldWhileNoMaintenanceWindowIsOpen(t *testing.T) {
	noon := time.Date(2026, 12, 1, 12, 0, 0, 0, time.UTC)
	window := v1alpha1.MaintenanceWindow{Schedule: "0 3 * * *", DurationMinutes: 60, TimeZone: "UTC"}
	broken := window
	broken.Schedule = "0 0 31 2 *"
	running := corev1.ContainerState{Running: &corev1.ContainerStateRunning{}}
	sts := &appsv1.StatefulSet{}
	restarted := sts.DeepCopy()
	restarted.Spec.Template.Annotations = map[string]string{"kubectl.kubernetes.io/restartedAt": "now"}
	for name, tc := range map[string]struct {
		windows []v1alpha1.MaintenanceWindow
		now     time.Time
		pod     string
		state   corev1.ContainerState
		sts     *appsv1.StatefulSet
		want    bool
	}{
		"the master, outside of it":    {[]v1alpha1.MaintenanceWindow{window}, noon, "cache-0", running, sts, true},
		"the master, within it":        {[]v1alpha1.MaintenanceWindow{window}, noon.Add(15 * time.Hour), "cache-0", running, sts, false},
		"the master, without one":      {nil, noon, "cache-0", running, sts, false},
		"a replica":                    {[]v1alpha1.MaintenanceWindow{window}, noon, "cache-1", running, sts, false},
		"a master that runs no Redis":  {[]v1alpha1.MaintenanceWindow{window}, noon, "cache-0", corev1.ContainerState{}, sts, false},
		"a restart that was asked for": {[]v1alpha1.MaintenanceWindow{window}, noon, "cache-0", running, restarted, false},
		"one window that never comes":  {[]v1alpha1.MaintenanceWindow{broken}, noon, "cache-0", running, sts, true},
		"one of them that never comes": {[]v1alpha1.MaintenanceWindow{window, broken}, noon.Add(15 * time.Hour), "cache-0", running, sts, true},
	} {
		rha := &v1alpha1.RedisHA{Spec: v1alpha1.RedisHASpec{MaintenanceWindows: tc.windows}}
		rha.Status.Master = &v1alpha1.MasterStatus{NodeRef: v1alpha1.NodeRef{Pod: "cache-0"}}
		pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: tc.pod}}
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: resources.RedisContainer, State: tc.state}}
		if got := IsHeld(rha, tc.sts, pod, tc.now); got != tc.want {
			t.Errorf("%s: held %t", name, got)
		}
	}
}

func TestAPodIsOutdatedIfAPersonChangedWhatItIsMadeFrom(t *testing.T) {
	sts := &appsv1.StatefulSet{ObjectMeta: metav1.ObjectMeta{Generation: 2}}
	sts.Status.ObservedGeneration, sts.Status.UpdateRevision = 2, "new"
	sts.Spec.Template.Annotations = map[string]string{v1alpha1.AnnotationSpecHash: "wanted"}
	pod := func(revision, hash string) *corev1.Pod {
		return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
			Labels:      map[string]string{appsv1.ControllerRevisionHashLabelKey: revision},
			Annotations: map[string]string{v1alpha1.AnnotationSpecHash: hash},
		}}
	}
	restarted := sts.DeepCopy()
	restarted.Spec.Template.Annotations["kubectl.kubernetes.io/restartedAt"] = "now"
	behind := sts.DeepCopy()
	behind.Generation = 3
	for name, tc := range map[string]struct {
		sts  *appsv1.StatefulSet
		pod  *corev1.Pod
		want bool
	}{
		"it is made from the present template":                 {sts, pod("new", "wanted"), false},
		"another version of the operator changed the template": {sts, pod("old", "wanted"), false},
		"a person changed the spec":                            {sts, pod("old", "former"), true},
		"a person restarts the rollout":                        {restarted, pod("old", "wanted"), true},
		"the StatefulSet controller has not seen the change":   {behind, pod("old", "former"), false},
	} {
		if got := IsOutdated(&v1alpha1.RedisHA{}, tc.sts, tc.pod); got != tc.want {
			t.Errorf("%s: outdated %t", name, got)
		}
	}
}

func TestAPodIsOutdatedForASettingThatOnlyAStartGivesIt(t *testing.T) {
	rha := &v1alpha1.RedisHA{}
	rha.Spec.Config = map[string]v1alpha1.ConfigValue{"databases": "32", "hz": "20"}
	wanted := resources.RecordOf(rha).String()
	hz := "hz:" + resources.RecordOf(rha)["hz"].Hash
	sts := &appsv1.StatefulSet{}
	sts.Status.UpdateRevision = "new"
	sts.Spec.Template.Annotations = map[string]string{
		v1alpha1.AnnotationSpecHash: resources.SpecHash(rha), v1alpha1.AnnotationSettings: wanted,
	}
	waiting := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "CrashLoopBackOff"}}
	starting := corev1.ContainerState{Waiting: &corev1.ContainerStateWaiting{Reason: "ContainerCreating"}}
	for name, tc := range map[string]struct {
		has            string
		state          corev1.ContainerState
		outdated, lags bool
	}{
		"it has all of them":                               {has: wanted},
		"it is to be told":                                 {has: "databases:0123 " + hz, lags: true},
		"one is fixed while Redis runs":                    {has: "databases:!0123 " + hz, outdated: true},
		"one is fixed, and it has it":                      {has: "databases:!" + resources.RecordOf(rha)["databases"].Hash + " " + hz},
		"one was removed, and has a default":               {has: wanted + " tcp-keepalive:0123"},
		"one was removed, and has none":                    {has: wanted + " slowlog-max-len:0123", outdated: true},
		"its Redis does not come up with what it has":      {has: "databases:0123 " + hz, state: waiting, outdated: true},
		"its Redis is only being started":                  {has: "databases:0123 " + hz, state: starting, lags: true},
		"its Redis does not come up with what is wanted":   {has: wanted, state: waiting},
		"one that the volume is made ready for is not its": {has: wanted + " dbfilename:!0123", outdated: true},
	} {
		pod := &corev1.Pod{}
		pod.Labels = map[string]string{appsv1.ControllerRevisionHashLabelKey: "new"} // it may have been told since
		pod.Annotations = map[string]string{
			v1alpha1.AnnotationSpecHash: resources.SpecHash(rha), v1alpha1.AnnotationSettings: tc.has,
		}
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: resources.RedisContainer, State: tc.state}}
		if got := IsOutdated(rha, sts, pod); got != tc.outdated {
			t.Errorf("%s: outdated %t", name, got)
		}
		if got := AwaitsSettings(rha, sts, pod); got != tc.lags {
			t.Errorf("%s: awaits settings %t", name, got)
		}
	}
}

func TestWhichKubernetesNodeIsLeaving(t *testing.T) {
	tainted := func(key string, effect corev1.TaintEffect) *corev1.Node {
		return &corev1.Node{Spec: corev1.NodeSpec{Taints: []corev1.Taint{{Key: key, Effect: effect}}}}
	}
	for name, tc := range map[string]struct {
		node *corev1.Node
		want bool
	}{
		"well":                              {&corev1.Node{}, false},
		"cordoned":                          {&corev1.Node{Spec: corev1.NodeSpec{Unschedulable: true}}, true},
		"deleted, and held by a finalizer":  {&corev1.Node{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &metav1.Time{}}}, true},
		"chosen by the cluster autoscaler":  {tainted("ToBeDeletedByClusterAutoscaler", corev1.TaintEffectNoSchedule), true},
		"weighed by the cluster autoscaler": {tainted("DeletionCandidateOfClusterAutoscaler", corev1.TaintEffectPreferNoSchedule), false},
		"chosen by Karpenter":               {tainted("karpenter.sh/disrupted", corev1.TaintEffectNoSchedule), true},
		"for other pods":                    {tainted("dedicated", corev1.TaintEffectNoSchedule), false},
		"to be used last":                   {tainted("karpenter.sh/disrupted", corev1.TaintEffectPreferNoSchedule), false},
	} {
		if got := IsLeaving(tc.node, DrainTaints()); got != tc.want {
			t.Errorf("%s: leaving %t, want %t", name, got, tc.want)
		}
	}
}

func TestWhatBecomesOfAPodThatIsToHaveOtherResources(t *testing.T) {
	rha := &v1alpha1.RedisHA{}
	const wanted = "limits.memory=2Gi requests.memory=2Gi"
	sts := &appsv1.StatefulSet{}
	sts.Status.UpdateRevision = "new"
	sts.Spec.Template.Annotations = map[string]string{
		v1alpha1.AnnotationSpecHash: resources.SpecHash(rha), v1alpha1.AnnotationSettings: "",
		v1alpha1.AnnotationResources: wanted,
	}
	conditions := func(kind corev1.PodConditionType) []corev1.PodCondition {
		return []corev1.PodCondition{{Type: kind, Status: corev1.ConditionTrue}}
	}
	for name, tc := range map[string]struct {
		has, refused               string
		spec, status               string
		generation, seen           int64
		conditions                 []corev1.PodCondition
		outdated, awaits, resizing bool
	}{
		"it has them":                      {has: wanted, spec: "2Gi", status: "2Gi"},
		"they are written in another way":  {has: "limits.memory=2048Mi requests.memory=2048Mi", spec: "2Gi", status: "2Gi"},
		"it is to be asked":                {has: "limits.memory=1Gi requests.memory=1Gi", spec: "1Gi", status: "1Gi", awaits: true},
		"it is to be asked for more kinds": {has: "limits.memory=2Gi", spec: "2Gi", status: "2Gi", awaits: true},
		"it was asked":                     {has: wanted, spec: "2Gi", status: "1Gi", resizing: true},
		"its kubelet is at it": {
			has: wanted, spec: "2Gi", status: "2Gi", conditions: conditions(corev1.PodResizeInProgress), resizing: true,
		},
		"its kubelet waits":             {has: wanted, spec: "2Gi", status: "1Gi", conditions: conditions(corev1.PodResizePending), resizing: true},
		"its kubelet has not seen it":   {has: wanted, spec: "2Gi", status: "2Gi", generation: 2, seen: 1, resizing: true},
		"another program is at it":      {has: wanted, spec: "3Gi", status: "1Gi", conditions: conditions(corev1.PodResizePending)},
		"it cannot have them":           {has: wanted, spec: "2Gi", status: "1Gi", refused: wanted + ": no room", outdated: true},
		"it could not have others":      {has: wanted, spec: "2Gi", status: "2Gi", refused: "limits.memory=9Gi: no room"},
		"what is to go cannot be taken": {has: wanted + " limits.cpu=1", spec: "2Gi", status: "2Gi", outdated: true},
	} {
		pod := &corev1.Pod{}
		pod.Generation, pod.Status.ObservedGeneration = tc.generation, tc.seen
		pod.Labels = map[string]string{appsv1.ControllerRevisionHashLabelKey: "new"}
		pod.Annotations = map[string]string{
			v1alpha1.AnnotationSpecHash: resources.SpecHash(rha), v1alpha1.AnnotationSettings: "",
			v1alpha1.AnnotationResources: tc.has, v1alpha1.AnnotationNotResized: tc.refused,
		}
		amounts := func(memory string) corev1.ResourceRequirements {
			list := corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(memory)}
			return corev1.ResourceRequirements{Limits: list, Requests: list}
		}
		spec, status := amounts(tc.spec), amounts(tc.status)
		pod.Spec.Containers = []corev1.Container{{Name: resources.RedisContainer, Resources: spec}}
		pod.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: resources.RedisContainer, Resources: &status}}
		pod.Status.Conditions = tc.conditions
		if got := IsOutdated(rha, sts, pod); got != tc.outdated {
			t.Errorf("%s: outdated %t", name, got)
		}
		if got := AwaitsResize(rha, sts, pod); got != tc.awaits {
			t.Errorf("%s: to be asked %t", name, got)
		}
		if got := IsResizing(rha, sts, pod); got != tc.resizing {
			t.Errorf("%s: resizing %t", name, got)
		}
	}
}
