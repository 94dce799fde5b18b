// SPDX-License-Identifier: Apache-2.0

package controllertest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
)

// API is a fake API server, with every write to it written down, and the Events that were recorded.
type API struct {
	T      *testing.T
	Client client.WithWatch
	Events *record.FakeRecorder
	// Refuse is asked before a subresource of an object is patched; may be nil.
	Refuse func(subresource, name string) error

	mu     sync.Mutex
	Writes []string
}

// New makes one that holds the objects.
func New(t *testing.T, objects ...client.Object) *API {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	a := &API{T: t, Events: record.NewFakeRecorder(100)}
	a.Client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithStatusSubresource(&v1alpha1.RedisHA{}, &v1alpha1.RedisHARequest{}, &appsv1.StatefulSet{}).
		WithIndex(&v1alpha1.RedisHARequest{}, "spec.redisHA", func(r client.Object) []string {
			return []string{r.(*v1alpha1.RedisHARequest).Spec.RedisHA}
		}).
		WithIndex(&corev1.Pod{}, "spec.nodeName", func(pod client.Object) []string {
			return []string{pod.(*corev1.Pod).Spec.NodeName}
		}).
		WithIndex(&corev1.Event{}, "involvedObject.uid", func(e client.Object) []string {
			return []string{string(e.(*corev1.Event).InvolvedObject.UID)}
		}).
		WithInterceptorFuncs(interceptor.Funcs{
			Apply: func(
				ctx context.Context, c client.WithWatch, obj runtime.ApplyConfiguration, opts ...client.ApplyOption,
			) error {
				a.note("apply %v", obj)
				return c.Apply(ctx, obj, opts...)
			},
			Patch: func(
				ctx context.Context, c client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption,
			) error {
				a.note("patch %s", obj.GetName())
				return c.Patch(ctx, obj, patch, opts...)
			},
			Delete: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.DeleteOption) error {
				a.note("delete %T %s", obj, obj.GetName())
				return c.Delete(ctx, obj, opts...)
			},
			SubResourcePatch: func(
				ctx context.Context, c client.Client, sub string, obj client.Object, patch client.Patch,
				opts ...client.SubResourcePatchOption,
			) error {
				a.note("patch %s of %s", sub, obj.GetName())
				if a.Refuse != nil {
					if err := a.Refuse(sub, obj.GetName()); err != nil {
						return err
					}
				}
				if sub == "resize" { // the fake API server would change the status
					return c.Patch(ctx, obj, patch)
				}
				return c.SubResource(sub).Patch(ctx, obj, patch, opts...)
			},
			SubResourceApply: func(
				ctx context.Context, c client.Client, sub string, obj runtime.ApplyConfiguration,
				opts ...client.SubResourceApplyOption,
			) error {
				a.note("apply %s of %v", sub, obj)
				return c.SubResource(sub).Apply(ctx, obj, opts...)
			},
		}).Build()
	return a
}

func (a *API) note(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.Writes = append(a.Writes, fmt.Sprintf(format, args...))
}

// Get reads an object of the namespace store.
func (a *API) Get(name string, object client.Object) {
	a.T.Helper()
	if err := a.Client.Get(a.T.Context(), Key(name), object); err != nil {
		a.T.Fatal(err)
	}
}

// Condition is a condition of the RedisHA shop.
func (a *API) Condition(kind string) metav1.Condition {
	a.T.Helper()
	rha := &v1alpha1.RedisHA{}
	a.Get("shop", rha)
	condition := meta.FindStatusCondition(rha.Status.Conditions, kind)
	if condition == nil {
		a.T.Fatalf("no condition %s", kind)
	}
	return *condition
}

// Key is a name in the namespace store.
func Key(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: "store", Name: name}
}

// Shop is a RedisHA with defaults, but for change.
func Shop(change func(*v1alpha1.RedisHA)) *v1alpha1.RedisHA {
	rha := &v1alpha1.RedisHA{
		ObjectMeta: metav1.ObjectMeta{Name: "shop", Namespace: "store", UID: "rha-uid", Generation: 1},
	}
	if change != nil {
		change(rha)
	}
	return rha
}

// RunningPod is a pod that is ready, of a revision of its StatefulSet.
func RunningPod(name, revision string) corev1.Pod {
	return corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name:        name,
			Labels:      map[string]string{appsv1.ControllerRevisionHashLabelKey: revision},
			Annotations: map[string]string{v1alpha1.AnnotationSpecHash: revision},
		},
		Status: corev1.PodStatus{
			Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
			ContainerStatuses: []corev1.ContainerStatus{{
				Name: resources.RedisContainer, Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
			}},
		},
	}
}

// Unready has the pod's Redis not be ready.
func Unready(pod *corev1.Pod) {
	pod.Status.Conditions[0].Status = corev1.ConditionFalse
	pod.Status.ContainerStatuses[0].Ready = false
}
