// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"net/http"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/healthz"

	"github.com/redisha/redisha/api/v1alpha1"
)

// errCachesFilling means that this process does not know yet what there is.
var errCachesFilling = errors.New("the caches are being filled")

// cachesFull reports a process that could lead at once. A rollout ends the leader when its successor is ready; one that
// had to list everything first would leave every failover waiting for that.
func cachesFull(informers cache.Informers) healthz.Checker {
	kinds := append(owned(), &v1alpha1.RedisHA{}, &corev1.Node{})
	return func(req *http.Request) error {
		for _, kind := range kinds {
			informer, err := informers.GetInformer(req.Context(), kind, cache.BlockUntilSynced(false))
			if err != nil {
				return fmt.Errorf("looking for the cache of %T: %w", kind, err)
			}
			if !informer.HasSynced() {
				return fmt.Errorf("%w: %T", errCachesFilling, kind)
			}
		}
		return nil
	}
}
