// SPDX-License-Identifier: Apache-2.0

package controllers

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

// api is a fake API server, with every write to it written down, and the Events that were recorded.
type api struct {
	t      *testing.T
	client client.WithWatch
	events *record.FakeRecorder

	mu     sync.Mutex
	writes []string
}

// newAPI makes one that holds the objects.
func newAPI(t *testing.T, objects ...client.Object) *api {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	a := &api{t: t, events: record.NewFakeRecorder(100)}
	a.client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithStatusSubresource(&v1alpha1.RedisHA{}, &appsv1.StatefulSet{}).
		WithIndex(&corev1.Pod{}, "spec.nodeName", func(pod client.Object) []string { return []string{pod.(*corev1.Pod).Spec.NodeName} }).
		WithIndex(&corev1.Event{}, "involvedObject.uid", func(e client.Object) []string { return []string{string(e.(*corev1.Event).InvolvedObject.UID)} }).
		WithInterceptorFuncs(interceptor.Funcs{
			Apply: func(ctx context.Context, c client.WithWatch, obj runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
				a.note("apply %v", obj)
				return c.Apply(ctx, obj, opts...)
			},
			Patch: func(ctx context.Context, c client.WithWatch, obj client.Object, patch client.Patch, opts ...client.PatchOption) error {
				a.note("patch %s", obj.GetName())
				return c.Patch(ctx, obj, patch, opts...)
			},
			Delete: func(ctx context.Context, c client.WithWatch, obj client.Object, opts ...client.DeleteOption) error {
				a.note("delete %T %s", obj, obj.GetName())
				return c.Delete(ctx, obj, opts...)
			},
			SubResourcePatch: func(ctx context.Context, c client.Client, sub string, obj client.Object, patch client.Patch, opts ...client.SubResourcePatchOption) error {
				a.note("patch %s of %s", sub, obj.GetName())
				return c.SubResource(sub).Patch(ctx, obj, patch, opts...)
			},
		}).Build()
	return a
}

func (a *api) note(format string, args ...any) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.writes = append(a.writes, fmt.Sprintf(format, args...))
}

func (a *api) get(name string, object client.Object) {
	a.t.Helper()
	if err := a.client.Get(a.t.Context(), shopKey(name), object); err != nil {
		a.t.Fatal(err)
	}
}

func (a *api) condition(kind string) metav1.Condition {
	a.t.Helper()
	rha := &v1alpha1.RedisHA{}
	a.get("shop", rha)
	condition := meta.FindStatusCondition(rha.Status.Conditions, kind)
	if condition == nil {
		a.t.Fatalf("no condition %s", kind)
	}
	return *condition
}

func shopKey(name string) types.NamespacedName {
	return types.NamespacedName{Namespace: "store", Name: name}
}

func shop(change func(*v1alpha1.RedisHA)) *v1alpha1.RedisHA {
	rha := &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{Name: "shop", Namespace: "store", UID: "rha-uid", Generation: 1}}
	if change != nil {
		change(rha)
	}
	return rha
}

func aPod(name, revision string) corev1.Pod {
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

func unready(pod *corev1.Pod) {
	pod.Status.Conditions[0].Status = corev1.ConditionFalse
	pod.Status.ContainerStatuses[0].Ready = false
}
