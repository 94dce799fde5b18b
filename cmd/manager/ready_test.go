// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache/informertest"

	"github.com/redisha/redisha/api/v1alpha1"
)

// B11: a standby that is ready may be left alone with the next failover.
func TestAStandbyIsReadyWhenItsCachesAreFull(t *testing.T) {
	o, err := managerOptions(options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, full := range []bool{false, true} {
		informers := &informertest.FakeInformers{Scheme: o.Scheme}
		for _, kind := range append(owned(), &v1alpha1.RedisHA{}, &corev1.Node{}) {
			informer, err := informers.FakeInformerFor(t.Context(), kind)
			if err != nil {
				t.Fatal(err)
			}
			_, last := kind.(*corev1.Node)
			informer.Synced = full || !last
		}
		err := cachesFull(informers)(httptest.NewRequest(http.MethodGet, "/readyz", nil))
		if full && err != nil || !full && !errors.Is(err, errCachesFilling) {
			t.Errorf("caches full: %t: %v", full, err)
		}
	}
}
