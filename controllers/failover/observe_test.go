// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// countingReader counts what is read past the cache.
type countingReader struct {
	client.Reader
	reads int
}

func (r *countingReader) Get(
	ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption,
) error {
	r.reads++
	return r.Reader.Get(ctx, key, obj, opts...)
}
