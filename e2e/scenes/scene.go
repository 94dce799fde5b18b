// SPDX-License-Identifier: Apache-2.0

package scenes

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/e2e/checks"
)

// T is what a test of either framework offers. Fatalf does not return.
type T interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Stage does for a scenario what the API cannot. Its methods fail the test instead of returning an error.
type Stage interface {
	// Happen notes that the fault happens now, and lets it happen.
	Happen(fault func() error)
	// Arm prepares a signal for the Redis process of a pod and returns what sends it, so that what preparing costs is no
	// part of what is measured.
	Arm(pod *corev1.Pod, signal syscall.Signal) (send func() error)
	// ArmLeader prepares the sudden death of the operator that leads.
	ArmLeader() (kill func() error)
	// PartOperators drops what passes between the operators and a pod, and returns what ends that.
	PartOperators(pod *corev1.Pod) (heal func())
	// Settle waits until all is well: by the status, and by what each Redis says.
	Settle() *v1alpha1.RedisHA
	// End waits until all is well and clients write, looks up every acknowledged write, of which at most so many may be
	// lost, and none that a replica had confirmed. It returns the longest time since the fault without an acknowledged
	// write through the Service. Scene.Before may be of then afterwards.
	End(mayLose int64) time.Duration
}

// Scene is a RedisHA to which something happens.
type Scene struct {
	T      T
	Ctx    context.Context
	Client client.WithWatch
	Key    client.ObjectKey
	Stage  Stage

	// Patience bounds each thing that is waited for.
	Patience time.Duration
	// Unreplicated bounds what a master that dies takes with it: writes that were acknowledged, and not yet handed to the
	// kernel for the replicas. Redis writes both in the same turn of its loop, so it is next to nothing.
	Unreplicated int64

	Before *v1alpha1.RedisHA // when all was well
	Reason string            // of the latest promotion or refusal, for the table
	wrong  func() []string
}

// Create makes the RedisHA and watches, until the function that it returns is called, that at no instant two pods are
// published or labelled as master.
func (s *Scene) Create(spec v1alpha1.RedisHASpec) (stop func()) {
	s.T.Helper()
	rha := &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{Namespace: s.Key.Namespace, Name: s.Key.Name}, Spec: spec}
	s.must(s.Client.Create(s.Ctx, rha))
	s.wrong, stop = checks.WatchInstants(context.WithoutCancel(s.Ctx), s.Client, s.Key)
	return stop
}

// Wrong says what was published or labelled wrongly so far.
func (s *Scene) Wrong() []string { return s.wrong() }

func (s *Scene) must(err error) {
	s.T.Helper()
	if err != nil {
		s.T.Fatalf("%v", err)
	}
}

// Settle waits until all is well, remembers that as how it was before, and returns it.
func (s *Scene) Settle() *v1alpha1.RedisHA {
	s.T.Helper()
	s.Before = s.Stage.Settle()
	return s.Before
}

// Get reads the RedisHA.
func (s *Scene) Get() *v1alpha1.RedisHA {
	s.T.Helper()
	rha := &v1alpha1.RedisHA{}
	s.must(s.Client.Get(s.Ctx, s.Key, rha))
	return rha
}

// Master is the name of the pod that was master when all was well, and Replicas are those of the others, in order.
func (s *Scene) Master() string { return s.Before.Status.Master.Pod }

// Replicas are the names of the pods that were no masters when all was well, in order.
func (s *Scene) Replicas() []string {
	var pods []string
	for _, n := range s.Before.Status.Nodes {
		if n.Pod != s.Master() {
			pods = append(pods, n.Pod)
		}
	}
	slices.Sort(pods)
	return pods
}

// MasterPod is the pod that was master when all was well, and is there still.
func (s *Scene) MasterPod() *corev1.Pod {
	s.T.Helper()
	pod := s.Pod(s.Master())
	s.must(s.Client.Get(s.Ctx, client.ObjectKeyFromObject(pod), pod))
	if string(pod.UID) != s.Before.Status.Master.PodUID {
		s.T.Fatalf("pod %s was replaced: its UID is %s, and was %s", pod.Name, pod.UID, s.Before.Status.Master.PodUID)
	}
	return pod
}

// Pod names a pod of the RedisHA's, for a request.
func (s *Scene) Pod(name string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: s.Key.Namespace, Name: name}}
}

// Pods are the Redis pods.
func (s *Scene) Pods() []corev1.Pod {
	s.T.Helper()
	pods := &corev1.PodList{}
	s.must(s.Client.List(
		s.Ctx, pods, client.InNamespace(s.Key.Namespace), client.MatchingLabels(resources.SelectorLabels(s.Key.Name)),
	))
	return pods.Items
}

// Change changes the RedisHA.
func (s *Scene) Change(what func(*v1alpha1.RedisHA)) {
	s.T.Helper()
	rha := s.Get()
	was := rha.DeepCopy()
	what(rha)
	s.must(s.Client.Patch(s.Ctx, rha, client.MergeFrom(was)))
}

// Signal sends a signal to the Redis process of a pod; it is the fault.
func (s *Scene) Signal(pod string, signal syscall.Signal) {
	s.T.Helper()
	at := s.Pod(pod)
	s.must(s.Client.Get(s.Ctx, client.ObjectKeyFromObject(at), at))
	s.Stage.Happen(s.Stage.Arm(at, signal))
}

// Request makes a person's request by annotation, and waits until it was taken up.
func (s *Scene) Request(value string) {
	s.T.Helper()
	value = fmt.Sprintf("%s#%d", value, time.Now().UnixNano()) // the same one does not run again
	s.Change(func(rha *v1alpha1.RedisHA) {
		metav1.SetMetaDataAnnotation(&rha.ObjectMeta, v1alpha1.AnnotationRequest, value)
	})
	s.Eventually("the request "+value+" to be taken up", func(rha *v1alpha1.RedisHA) bool {
		return rha.Annotations[v1alpha1.AnnotationRequest] == ""
	})
}
