// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache/informertest"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllertest"
)

// B11: a standby that is ready may be left alone with the next failover.
func TestAStandbyIsReadyWhenItsCachesAreFull(t *testing.T) {
	o, err := managerOptions(options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, full := range []bool{false, true} {
		informers := &informertest.FakeInformers{
			Scheme: o.Scheme, InformersByGVK: map[schema.GroupVersionKind]toolscache.SharedIndexInformer{},
		}
		if !full { // one that is not made beforehand is full
			informers.InformersByGVK[corev1.SchemeGroupVersion.WithKind("Node")] = controllertest.NewFakeInformer()
		}
		err := cachesFull(informers)(httptest.NewRequest(http.MethodGet, "/readyz", nil))
		if full && err != nil || !full && !errors.Is(err, errCachesFilling) {
			t.Errorf("caches full: %t: %v", full, err)
		}
	}
}
