// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"reflect"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Field is a place in an object that may hold nothing but what was applied. Server-side apply leaves what others add
// beside the fields that it was sent, and in some places that does harm.
type Field struct {
	// Path leads to a map or a list of objects.
	Path []string
	// Key is the field that tells the items of a list apart.
	Key string
}

// configuration is what is sent to the API server: the fields we own, and the hash of them, by which a field that is no
// longer set is noticed.
func (p *Pass) configuration(desired client.Object) (*unstructured.Unstructured, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(desired)
	if err != nil {
		return nil, err
	}
	delete(content, "status")
	dropNulls(content)
	want := &unstructured.Unstructured{Object: content}
	hash, err := hashOf(want)
	if err != nil {
		return nil, err
	}
	annotations := want.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[p.HashAnnotation] = hash
	want.SetAnnotations(annotations)
	return want, nil
}

// hashOf leaves the values of a Secret out: people who may not read them may see
// the annotation, and could guess at a weak password.
func hashOf(want *unstructured.Unstructured) (string, error) {
	hashed := want
	if want.GetKind() == "Secret" {
		hashed = want.DeepCopy()
		delete(hashed.Object, "data")
	}
	text, err := json.Marshal(hashed.Object)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8]), nil
}

// dropNulls removes nulls (a zero creationTimestamp, say), which would be applied as such.
func dropNulls(content map[string]any) {
	for key, value := range content {
		switch value := value.(type) {
		case nil:
			delete(content, key)
		case map[string]any:
			dropNulls(value)
		case []any:
			for _, item := range value {
				if nested, ok := item.(map[string]any); ok {
					dropNulls(nested)
				}
			}
		}
	}
}

// appliedHash is the hash of what was last applied to the object.
func (p *Pass) appliedHash(object *unstructured.Unstructured) string {
	return object.GetAnnotations()[p.HashAnnotation]
}

// contains says whether live holds all of want. Lists of objects may hold more,
// in any order; lists of plain values must be equal.
func contains(live, want any) bool {
	switch want := want.(type) {
	case map[string]any:
		have, ok := live.(map[string]any)
		if !ok {
			return live == nil && len(want) == 0
		}
		for key, value := range want {
			if !contains(have[key], value) {
				return false
			}
		}
		return true
	case []any:
		have, ok := live.([]any)
		if !ok {
			return live == nil && len(want) == 0
		}
		return containsItems(have, want)
	default:
		return reflect.DeepEqual(live, want)
	}
}

func containsItems(live, want []any) bool {
	for _, item := range want {
		if _, object := item.(map[string]any); !object {
			return reflect.DeepEqual(live, want)
		}
		found := false
		for _, candidate := range live {
			if found = contains(candidate, item); found {
				break
			}
		}
		if !found {
			return false
		}
	}
	return true
}

// exclusivePatch is a JSON merge patch that removes what others added to the exclusive fields; nil when there is
// nothing to remove.
func exclusivePatch(fields []Field, want, live *unstructured.Unstructured) []byte {
	patch := map[string]any{}
	for _, field := range fields {
		wanted, _, _ := unstructured.NestedFieldNoCopy(want.Object, field.Path...)
		present, _, _ := unstructured.NestedFieldNoCopy(live.Object, field.Path...)
		if value, excess := withoutExcess(present, wanted, field.Key); excess {
			// Paths of one kind never run through each other, so this cannot fail.
			_ = unstructured.SetNestedField(patch, value, field.Path...)
		}
	}
	if len(patch) == 0 {
		return nil
	}
	text, err := json.Marshal(patch)
	if err != nil {
		return nil
	}
	return text
}

// withoutExcess is the merge-patch value that removes from present what wanted
// does not have, and whether there is anything to remove.
func withoutExcess(present, wanted any, key string) (any, bool) {
	switch present := present.(type) {
	case nil:
		return nil, false
	case map[string]any:
		have, _ := wanted.(map[string]any)
		removals := map[string]any{}
		for key := range present {
			if _, ok := have[key]; !ok {
				removals[key] = nil
			}
		}
		return removals, len(removals) > 0
	case []any:
		have, _ := wanted.([]any)
		if len(have) == 0 {
			return nil, len(present) > 0
		}
		return runtime.DeepCopyJSONValue(have), !sameKeys(present, have, key)
	default:
		return nil, wanted == nil
	}
}

// sameKeys says whether every item of present has its like among wanted.
func sameKeys(present, wanted []any, key string) bool {
	keys := map[any]bool{}
	for _, item := range wanted {
		if object, ok := item.(map[string]any); ok {
			keys[object[key]] = true
		}
	}
	for _, item := range present {
		if object, ok := item.(map[string]any); !ok || !keys[object[key]] {
			return false
		}
	}
	return len(present) <= len(wanted)
}
