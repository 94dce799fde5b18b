// SPDX-License-Identifier: Apache-2.0

package failover

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
func (r *Reconciler) load(ctx context.Context, key client.ObjectKey) (*v1alpha1.RedisHA, error) {
	cached := &v1alpha1.RedisHA{}
	err := r.Client.Get(ctx, key, cached)
	if apierrors.IsNotFound(err) {
		r.statuses.Forget(key)
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the RedisHA: %w", err)
	}
	if !r.memory.Of(key).confirmed {
		return r.live(ctx, key)
	}
	rha, _ := r.statuses.Newest(key, cached, true)
	return rha, nil
}

// live reads the RedisHA past the cache, and before it what is published: a status that was set back is told by an
// epoch in the EndpointSlice that it does not know. nil when there is none. Until it succeeds nothing is decided on
// that RedisHA.
func (r *Reconciler) live(ctx context.Context, key client.ObjectKey) (*v1alpha1.RedisHA, error) {
	r.statuses.Forget(key)
	r.memory.Of(key).confirmed = false
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
	r.statuses.Wrote(rha)
	r.memory.Of(key).confirmed = true
	return rha, nil
}
