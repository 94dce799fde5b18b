// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
)

func rolePod(name, role string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: "ns", Name: name, UID: types.UID(name), Labels: map[string]string{v1alpha1.LabelRole: role},
	}}
}

func publishedSlice(epoch string, addresses ...string) *discoveryv1.EndpointSlice {
	slice := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{
		Namespace:   "ns",
		Name:        resources.MasterServiceName("cache"),
		Annotations: map[string]string{v1alpha1.AnnotationEpoch: epoch},
	}}
	for _, address := range addresses {
		slice.Endpoints = append(slice.Endpoints, discoveryv1.Endpoint{Addresses: []string{address}})
	}
	return slice
}

func TestWhatIsWrongAtOneInstantIsNoticed(t *testing.T) {
	master, replica := v1alpha1.RoleMaster, v1alpha1.RoleReplica
	for name, tt := range map[string]struct {
		then []client.Object // written one after the other, after cache-0 was published as master by epoch 2
		want string          // of what is wrong; nothing if empty
	}{
		"a failover": {then: []client.Object{
			rolePod("cache-0", replica), publishedSlice("3", "10.0.0.2"), rolePod("cache-1", master),
		}},
		"two labels for a moment": {then: []client.Object{
			rolePod("cache-1", master), rolePod("cache-0", replica),
		}, want: "labelled as master at the same time"},
		"two endpoints for a moment": {then: []client.Object{
			publishedSlice("3", "10.0.0.1", "10.0.0.2"), publishedSlice("3", "10.0.0.2"),
		}, want: "2 endpoints at the same time"},
		"an epoch that goes back": {then: []client.Object{
			publishedSlice("3", "10.0.0.2"), publishedSlice("2", "10.0.0.1"), publishedSlice("3", "10.0.0.2"),
		}, want: `published by epoch "2" after epoch 3`},
		"published by no epoch": {then: []client.Object{publishedSlice("", "10.0.0.1")}, want: `published by epoch ""`},
	} {
		t.Run(name, func(t *testing.T) {
			c := fake.NewClientBuilder().WithObjects(
				rolePod("cache-0", replica), rolePod("cache-1", replica), rolePod("cache-2", replica), publishedSlice("1"),
			).Build()
			var watching atomic.Int32
			watched := interceptor.NewClient(c, interceptor.Funcs{
				Watch: func(ctx context.Context, c client.WithWatch, list client.ObjectList, opts ...client.ListOption) (watch.Interface, error) {
					defer watching.Add(1)
					return c.Watch(ctx, list, opts...)
				},
			})
			wrong, stop := WatchInstants(t.Context(), watched, client.ObjectKey{Namespace: "ns", Name: "cache"})
			defer stop()
			eventually(t, func() bool { return watching.Load() == 2 })
			// What comes last is wrong in both: when that was noticed, all before it was seen.
			last := []client.Object{publishedSlice("last", "10.0.0.1"), rolePod("cache-2", master)}
			for _, object := range slices.Concat([]client.Object{publishedSlice("2", "10.0.0.1"), rolePod("cache-0", master)}, tt.then, last) {
				if err := c.Patch(t.Context(), object, client.Merge); err != nil {
					t.Fatal(err)
				}
			}
			want := 2
			if tt.want != "" {
				want++
			}
			eventually(t, func() bool {
				heard := strings.Join(wrong(), "; ")
				return strings.Contains(heard, `"last"`) && strings.Contains(heard, "cache-2")
			})
			if heard := wrong(); len(heard) != want || !strings.Contains(strings.Join(heard, "; "), tt.want) {
				t.Errorf("wrong is %q, want %q and the last two", heard, tt.want)
			}
		})
	}
}

func eventually(t *testing.T, what func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !what(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not within 30 s")
		}
	}
}
