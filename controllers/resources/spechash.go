// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	corev1 "k8s.io/api/core/v1"

	"github.com/redisha/redisha/api/v1alpha1"
)

// personal is what a person controls and a running pod has to be replaced for. It is the spec's word, without the
// defaults that a version of the operator puts in the place of what is absent: those change with the version, and must
// not replace anything.
type personal struct {
	Image            string                          `json:"image,omitempty"`
	ImagePullPolicy  corev1.PullPolicy               `json:"imagePullPolicy,omitempty"`
	ImagePullSecrets []corev1.LocalObjectReference   `json:"imagePullSecrets,omitempty"`
	Resources        corev1.ResourceRequirements     `json:"resources,omitempty"`
	Storage          bool                            `json:"storage,omitempty"`
	Config           map[string]v1alpha1.ConfigValue `json:"config,omitempty"`
	Modules          []v1alpha1.ModuleSpec           `json:"modules,omitempty"`
	PodTemplate      *v1alpha1.PodTemplateSpec       `json:"podTemplate,omitempty"`
}

// SpecHash changes when a person changes the spec in a way that running pods have to be replaced for, whatever Redis
// they run, and wherever. It is the same in every version of the operator: where it changes, every pod of everybody who
// upgrades is replaced. The golden files hold it. Which changes of spec.config replace pods is for Redis to say; see
// [RecordOf]. Which of processor and memory do is for the cluster to say; see [SizesOf].
func SpecHash(rha *v1alpha1.RedisHA) string { return FormerSpecHash(rha, false, false) }

// FormerSpecHash is the hash that a version wrote which replaced pods for every change of spec.config, or of
// spec.resources, or of both.
func FormerSpecHash(rha *v1alpha1.RedisHA, settings, sizes bool) string {
	var config map[string]v1alpha1.ConfigValue
	if settings {
		config = rha.Spec.Config
	}
	container := rha.Spec.Resources
	if !sizes {
		container = unresizable(container)
	}
	return hashWith(rha.Spec, config, container)
}

func hashWith(
	spec v1alpha1.RedisHASpec, config map[string]v1alpha1.ConfigValue, container corev1.ResourceRequirements,
) string {
	text, err := json.Marshal(personal{
		Image:            spec.Image,
		ImagePullPolicy:  spec.ImagePullPolicy,
		ImagePullSecrets: spec.ImagePullSecrets,
		Resources:        container,
		Storage:          spec.Storage != nil,
		Config:           config,
		Modules:          spec.Modules,
		PodTemplate:      spec.PodTemplate,
	})
	if err != nil {
		return "" // strings, numbers and quantities can be marshalled
	}
	var content map[string]any
	if json.Unmarshal(text, &content) != nil {
		return ""
	}
	dropUnsaid(content)
	if text, err = json.Marshal(content); err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}

// dropUnsaid removes what Go's types of the Kubernetes API write though the spec does not say it: nulls and empty
// resources. Another version of these types may not. Other empty objects are meant: an empty affinity replaces the
// default one.
func dropUnsaid(content map[string]any) {
	for key, value := range content {
		switch value := value.(type) {
		case nil:
			delete(content, key)
		case map[string]any:
			if dropUnsaid(value); key == "resources" && len(value) == 0 {
				delete(content, key)
			}
		case []any:
			for _, item := range value {
				if nested, ok := item.(map[string]any); ok {
					dropUnsaid(nested)
				}
			}
		}
	}
}
