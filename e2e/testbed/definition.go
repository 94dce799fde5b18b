// SPDX-License-Identifier: Apache-2.0

package testbed

import (
	"context"
	"errors"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
)

// Properties are the fields of an object in a schema.
type Properties = map[string]any

// Redefine changes what the CustomResourceDefinition of RedisHA knows of status.failover and of an element of
// status.nodes, as that of another version does. The API server follows within moments. undo puts the definition of
// before back.
func (b *Testbed) Redefine(
	ctx context.Context, edit func(failover, node Properties),
) (undo func(context.Context) error, err error) {
	before, err := b.definition(ctx)
	if err != nil {
		return nil, err
	}
	after := before.DeepCopy()
	versions, found, err := unstructured.NestedSlice(after.Object, "spec", "versions")
	if err != nil || !found || len(versions) == 0 {
		return nil, errors.Join(err, errors.New("the definition has no versions"))
	}
	status, err := propertiesAt(versions[0], "schema", "openAPIV3Schema", "properties", "status", "properties")
	if err != nil {
		return nil, err
	}
	failover, errF := propertiesAt(status, "failover", "properties")
	node, errN := propertiesAt(status, "nodes", "items", "properties")
	if err := errors.Join(errF, errN); err != nil {
		return nil, err
	}
	edit(failover, node)
	if err := unstructured.SetNestedSlice(after.Object, versions, "spec", "versions"); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error { return b.define(ctx, before) }, b.define(ctx, after)
}

// propertiesAt walks down a schema without copying it, so that what is found can be changed.
func propertiesAt(of any, path ...string) (Properties, error) {
	for _, name := range path {
		object, ok := of.(map[string]any)
		if !ok || object[name] == nil {
			return nil, errors.New("the definition has no " + name)
		}
		of = object[name]
	}
	found, ok := of.(map[string]any)
	if !ok {
		return nil, errors.New("the definition has no object at " + path[len(path)-1])
	}
	return found, nil
}

func (b *Testbed) define(ctx context.Context, wanted *unstructured.Unstructured) error {
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		present, err := b.definition(ctx)
		if err != nil {
			return err
		}
		present.Object["spec"] = wanted.Object["spec"]
		return b.Client.Update(ctx, present)
	})
}

func (b *Testbed) definition(ctx context.Context) (*unstructured.Unstructured, error) {
	d := &unstructured.Unstructured{}
	d.SetGroupVersionKind(
		schema.GroupVersionKind{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition"},
	)
	err := b.Client.Get(ctx, client.ObjectKey{Name: "redishas." + v1alpha1.GroupVersion.Group}, d)
	return d, err
}
