// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"errors"
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
)

// copies gives out one copy of a RedisHA, as a cache or the API server has it, and counts how often.
type copies struct {
	client.Client
	state           v1alpha1.FailoverState
	resourceVersion string
	published       string // epoch
	err             error
	reads           int
}

func (c *copies) Get(_ context.Context, key client.ObjectKey, obj client.Object, _ ...client.GetOption) error {
	if c.err != nil {
		c.reads++
		return c.err
	}
	if slice, is := obj.(*discoveryv1.EndpointSlice); is {
		slice.ObjectMeta = metav1.ObjectMeta{
			Namespace: key.Namespace, Name: key.Name, UID: "s", ResourceVersion: c.resourceVersion,
			Annotations: map[string]string{v1alpha1.AnnotationEpoch: c.published},
		}
		return nil
	}
	c.reads++
	rha := obj.(*v1alpha1.RedisHA)
	rha.ObjectMeta = metav1.ObjectMeta{
		Namespace:       key.Namespace,
		Name:            key.Name,
		UID:             "u",
		ResourceVersion: c.resourceVersion,
	}
	rha.Status.Failover = &v1alpha1.FailoverStatus{State: c.state}
	return nil
}

func TestTheFirstLookOfALeaderIsPastItsCache(t *testing.T) {
	key := client.ObjectKey{Namespace: "ns", Name: "r"}
	cache := &copies{state: v1alpha1.StatePromoting, resourceVersion: "7", published: "1"}
	stored := &copies{state: v1alpha1.StateStable, resourceVersion: "9", published: "2"}
	r := &Reconciler{Client: cache, Reader: stored, effects: &kubeEffects{client: cache, reader: stored}}
	expect := func(when string, want v1alpha1.FailoverState, reads int) {
		t.Helper()
		rha, err := r.load(t.Context(), key)
		if want == "" {
			if err == nil {
				t.Errorf("%s: a RedisHA in %s is decided on", when, rha.Status.Failover.State)
			}
		} else if err != nil || rha.Status.Failover.State != want {
			t.Errorf("%s: state %v (%v), want %s", when, rha, err, want)
		}
		if stored.reads != reads {
			t.Errorf("%s: %d reads past the cache, want %d", when, stored.reads, reads)
		}
	}
	stored.err = errors.New("no answer")
	expect("the API server does not answer", "", 1)
	stored.err = nil
	expect("it answers", v1alpha1.StateStable, 2)
	expect("the cache is behind", v1alpha1.StateStable, 2)
	if slice, _, err := r.effects.masterSlice(t.Context(), key); err != nil || publishedIn(slice, nil).Epoch != 2 {
		t.Errorf("what is published is read from a cache that is behind: %v", err)
	}
	cache.state, cache.resourceVersion = v1alpha1.StateFencing, "11"
	expect("the cache is ahead", v1alpha1.StateFencing, 2)

	cache.state, cache.resourceVersion = v1alpha1.StatePromoting, "7"
	stored.err = errors.New("no answer")
	if _, err := r.live(t.Context(), key); err == nil { // after a conflict
		t.Fatal("an unanswered read succeeded")
	}
	expect("our last write is forgotten and what is stored is not known", "", 4)
}
