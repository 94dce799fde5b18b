// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
)

// load returns the RedisHA, no older than what we last wrote or read past the cache; nil when there is none. The first
// look of a process is past the cache: a promotion that it would resume needs no write, so no swap would tell that the
// one before it went further.
func (r *FailoverReconciler) load(ctx context.Context, key client.ObjectKey) (*v1alpha1.RedisHA, error) {
	cached := &v1alpha1.RedisHA{}
	err := r.Client.Get(ctx, key, cached)
	if apierrors.IsNotFound(err) {
		r.statuses.forget(key)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the RedisHA: %w", err)
	}
	if !r.isConfirmed(key) {
		return r.live(ctx, key)
	}
	rha, _ := r.statuses.newest(key, cached, true)
	return rha, nil
}

// live reads the RedisHA past the cache, and before it what is published: a status that was set back is told by an
// epoch in the EndpointSlice that it does not know. nil when there is none. Until it succeeds nothing is decided on
// that RedisHA.
func (r *FailoverReconciler) live(ctx context.Context, key client.ObjectKey) (*v1alpha1.RedisHA, error) {
	r.statuses.forget(key)
	r.confirm(key, false)
	if err := r.effects.readSlice(ctx, key); err != nil {
		return nil, err
	}
	rha := &v1alpha1.RedisHA{}
	err := r.Reader.Get(ctx, key, rha)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the RedisHA past the cache: %w", err)
	}
	r.statuses.wrote(rha)
	r.confirm(key, true)
	return rha, nil
}

func (r *FailoverReconciler) isConfirmed(key client.ObjectKey) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.confirmed[key.String()]
}

func (r *FailoverReconciler) confirm(key client.ObjectKey, yes bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if yes {
		r.confirmed[key.String()] = true
	} else {
		delete(r.confirmed, key.String())
	}
}
