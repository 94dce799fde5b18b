// SPDX-License-Identifier: Apache-2.0

package testbed

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/e2e/sandbox"
)

// Namespace is where config/default puts the operator.
const Namespace = "redisha-system"

// install applies what config/default applies to a cluster, except the Deployment: the operator runs in hosts of the
// sandbox, where it can be killed.
func (b *Testbed) install(ctx context.Context) error {
	if err := b.ApplyConfig(ctx, "default", "Deployment"); err != nil {
		return err
	}
	// An operator that starts before its kind is served looks again only after ten seconds.
	return sandbox.WaitFor(ctx, "RedisHA to be served", func(ctx context.Context) (bool, error) {
		err := b.Client.List(ctx, &v1alpha1.RedisHAList{})
		return err == nil, nil
	})
}

// ApplyConfig does what kubectl apply -k config/FOLDER does, but for the objects of a kind.
func (b *Testbed) ApplyConfig(ctx context.Context, folder, without string) error {
	root, err := Root()
	if err != nil {
		return err
	}
	manifests, err := render(filepath.Join(root, "config", folder), without)
	if err != nil {
		return err
	}
	return b.Sandbox.Apply(ctx, manifests)
}

// render builds a kustomization and leaves out objects of a kind.
func render(folder, without string) ([]byte, error) {
	resources, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), folder)
	if err != nil {
		return nil, err
	}
	var all bytes.Buffer
	for _, r := range resources.Resources() {
		if r.GetKind() == without {
			continue
		}
		text, err := r.AsYAML()
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", r.GetKind(), r.GetName(), err)
		}
		fmt.Fprintf(&all, "---\n%s", text)
	}
	return all.Bytes(), nil
}
