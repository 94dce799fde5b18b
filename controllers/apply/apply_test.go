// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"context"
	"errors"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
)

// cluster is a fake API server that counts the writes to it.
type cluster struct {
	client.WithWatch

	owner  *appsv1.Deployment
	writes int
	refuse error
}

func newCluster(t *testing.T, objects ...client.Object) *cluster {
	t.Helper()
	c := &cluster{owner: &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "store", Name: "shop", UID: "owner"}}}
	c.WithWatch = fake.NewClientBuilder().WithScheme(clientgoscheme.Scheme).WithObjects(append(objects, c.owner)...).
		WithInterceptorFuncs(interceptor.Funcs{
			Apply: func(ctx context.Context, under client.WithWatch, object runtime.ApplyConfiguration, opts ...client.ApplyOption) error {
				if c.writes++; c.refuse != nil {
					return c.refuse
				}
				return under.Apply(ctx, object, opts...)
			},
			Patch: func(ctx context.Context, under client.WithWatch, object client.Object, patch client.Patch, opts ...client.PatchOption) error {
				c.writes++
				return under.Patch(ctx, object, patch, opts...)
			},
		}).Build()
	return c
}

// apply makes a pass, and returns how many writes it made.
func (c *cluster) apply(t *testing.T, object client.Object) (int, error) {
	t.Helper()
	c.writes = 0
	wrote, err := Applier{
		Client:         c,
		Live:           c,
		FieldOwner:     "test",
		HashAnnotation: "test/hash",
		NameLabel:      "test/name",
		Exclusive: map[string][]Field{
			"Service": {{Path: []string{"spec", "selector"}}, {Path: []string{"spec", "ports"}, Key: "port"}},
		},
	}.For(c.owner).Apply(t.Context(), object)
	if wrote != (c.writes > 0) {
		t.Errorf("it says that it wrote: %t; %d writes", wrote, c.writes)
	}
	return c.writes, err
}

func service(change func(*corev1.Service)) *corev1.Service {
	s := &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: metav1.ObjectMeta{Namespace: "store", Name: "shop", Labels: map[string]string{"test/name": "shop"}},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Name: "redis", Port: 6379}}},
	}
	if change != nil {
		change(s)
	}
	return s
}

// live is the Service as it is.
func (c *cluster) live(t *testing.T) *corev1.Service {
	t.Helper()
	s := &corev1.Service{}
	if err := c.Get(t.Context(), client.ObjectKey{Namespace: "store", Name: "shop"}, s); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestAnObjectIsMadeOnceAndOwned(t *testing.T) {
	c := newCluster(t)
	if writes, err := c.apply(t, service(nil)); writes != 1 || err != nil {
		t.Fatalf("%d writes: %v", writes, err)
	}
	if !metav1.IsControlledBy(c.live(t), c.owner) {
		t.Error("it is not the owner's")
	}
	if writes, err := c.apply(t, service(nil)); writes != 0 || err != nil {
		t.Errorf("%d writes where nothing differs: %v", writes, err)
	}
}

func TestWhatOthersAddStaysUnlessItWouldDoHarm(t *testing.T) {
	c := newCluster(t)
	if _, err := c.apply(t, service(nil)); err != nil {
		t.Fatal(err)
	}
	edited := c.live(t)
	edited.Annotations["cloud/load-balancer"] = "10.0.0.1"
	edited.Spec.Selector = map[string]string{"app": "anything"}
	if err := c.Update(t.Context(), edited); err != nil {
		t.Fatal(err)
	}
	if writes, err := c.apply(t, service(nil)); writes != 1 || err != nil {
		t.Errorf("%d writes: %v", writes, err)
	}
	if s := c.live(t); s.Annotations["cloud/load-balancer"] == "" || len(s.Spec.Selector) > 0 {
		t.Errorf("annotations %v, selector %v", s.Annotations, s.Spec.Selector)
	}
}

func TestWhatIsNoLongerWantedGoes(t *testing.T) {
	c := newCluster(t)
	if _, err := c.apply(
		t,
		service(func(s *corev1.Service) { s.Annotations = map[string]string{"internal": "true"} }),
	); err != nil {
		t.Fatal(err)
	}
	if writes, err := c.apply(t, service(nil)); writes != 1 || err != nil || c.live(t).Annotations["internal"] != "" {
		t.Errorf("%d writes: %v; annotations %v", writes, err, c.live(t).Annotations)
	}
}

func TestAnObjectThatIsAnothersIsLeftAlone(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*corev1.Service)
		ours   bool
	}{
		"another controls it": {func(s *corev1.Service) {
			s.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: "Pod", Name: "other", UID: "other", Controller: ptr.To(true)}}
		}, false},
		"it has another's name":                   {func(s *corev1.Service) { s.Labels["test/name"] = "other" }, false},
		"its owner reference was removed by hand": {func(*corev1.Service) {}, true},
	} {
		c := newCluster(t, service(tc.change))
		writes, err := c.apply(t, service(nil))
		var other *NotOwnedError
		if is := errors.As(err, &other); is == tc.ours || (writes > 0) != tc.ours {
			t.Errorf("%s: %d writes: %v", name, writes, err)
		}
		if other != nil && (other.Kind != "Service" || other.Name != "shop" || other.Live == nil) {
			t.Errorf("%s: the error does not say whose: %+v", name, other)
		}
	}
}

func TestNothingIsWrittenForAnOwnerThatIsGoing(t *testing.T) {
	c := newCluster(t)
	if err := c.Delete(t.Context(), c.owner.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.apply(t, service(nil)); !errors.Is(err, ErrOwnerGone) {
		t.Errorf("%v", err)
	}
	if err := c.Get(
		t.Context(), client.ObjectKey{Namespace: "store", Name: "shop"}, &corev1.Service{},
	); !apierrors.IsNotFound(
		err,
	) {
		t.Errorf("the Service: %v", err)
	}
}

func TestWhatTheAPIServerWillNotHaveIsToldFromWhatMayWorkLater(t *testing.T) {
	c := newCluster(t)
	var refused *RefusedError
	c.refuse = apierrors.NewForbidden(corev1.Resource("services"), "shop", errors.New("quota"))
	if _, err := c.apply(t, service(nil)); !errors.As(err, &refused) || !apierrors.IsForbidden(err) {
		t.Errorf("forbidden: %v", err)
	}
	c.refuse = apierrors.NewServiceUnavailable("a moment")
	if _, err := c.apply(t, service(nil)); err == nil || errors.As(err, new(*RefusedError)) {
		t.Errorf("unavailable: %v", err)
	}
}

func TestAnObjectThatIsBeingDeletedIsWaitedFor(t *testing.T) {
	c := newCluster(t, service(func(s *corev1.Service) { s.Finalizers = []string{"test/wait"} }))
	if err := c.Delete(t.Context(), c.live(t)); err != nil {
		t.Fatal(err)
	}
	var going *BeingDeletedError
	if writes, err := c.apply(t, service(nil)); writes > 0 || !errors.As(err, &going) {
		t.Errorf("%d writes: %v", writes, err)
	}
}
