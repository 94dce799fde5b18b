// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ApplyYAML applies files, and the .yaml files of folders in the order of their names, on the server's side as
// AdminUser.
func (s *Sandbox) ApplyYAML(ctx context.Context, paths ...string) error {
	for _, path := range paths {
		files := []string{path}
		if info, err := os.Stat(path); err != nil {
			return err
		} else if info.IsDir() {
			if files, err = filepath.Glob(filepath.Join(path, "*.yaml")); err != nil {
				return err
			}
			slices.Sort(files)
		}
		for _, file := range files {
			if strings.HasSuffix(file, "kustomization.yaml") {
				continue
			}
			data, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			if err := s.Apply(ctx, data); err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
		}
	}
	return nil
}

// Apply applies the documents one after the other. What the cluster is not ready for yet is tried again for some
// seconds: a document of a kind that the API server is still being told of (a custom resource after its definition),
// and a pod in a namespace so new that it has no ServiceAccount.
func (s *Sandbox) Apply(ctx context.Context, manifests []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	c, err := client.New(s.AdminConfig(), client.Options{})
	if err != nil {
		return err
	}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifests), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case len(object.Object) == 0:
			continue
		}
		if err := applyObject(ctx, c, object); err != nil {
			return fmt.Errorf("apply %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
}

func applyObject(ctx context.Context, c client.Client, object *unstructured.Unstructured) error {
	for {
		attempt := object.DeepCopy()
		if err := defaultNamespace(c, attempt); err != nil && !meta.IsNoMatchError(err) {
			return err
		}
		err := c.Apply(
			ctx, client.ApplyConfigurationFromUnstructured(attempt), client.FieldOwner("sandbox"), client.ForceOwnership,
		)
		if err == nil || !notYet(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// notYet tells whether what was refused may be taken in a moment. A pod whose ServiceAccount does not exist is refused
// by the admission plugin of that name, by its message alone; a namespace's default one is made by the controller
// manager.
func notYet(err error) bool {
	return meta.IsNoMatchError(err) || apierrors.IsNotFound(err) ||
		apierrors.IsForbidden(err) && strings.Contains(err.Error(), "error looking up service account")
}

// defaultNamespace does as kubectl does.
func defaultNamespace(c client.Client, object *unstructured.Unstructured) error {
	namespaced, err := c.IsObjectNamespaced(object)
	if err == nil && namespaced && object.GetNamespace() == "" {
		object.SetNamespace("default")
	}
	return err
}
