// SPDX-License-Identifier: Apache-2.0

// Command trim takes Kubernetes' own descriptions out of the generated definition: those of the types that
// spec.podTemplate is made of are two thirds of it, and kubectl explain pod.spec has them. kubectl apply keeps what it
// applied in an annotation of 256 KiB, which the definition has to fit into.
package main

import (
	"fmt"
	"os"

	"sigs.k8s.io/yaml"
)

// borrowed are the fields of the spec whose types are Kubernetes'. Each keeps its own description.
var borrowed = []string{"resources", "imagePullSecrets"}

func main() {
	for _, file := range os.Args[1:] {
		if err := trim(file); err != nil {
			fmt.Fprintf(os.Stderr, "trim %s: %v\n", file, err)
			os.Exit(1)
		}
	}
}

func trim(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	definition := map[string]any{}
	if err := yaml.Unmarshal(text, &definition); err != nil {
		return err
	}
	versions, _ := at(definition, "spec")["versions"].([]any)
	for _, version := range versions {
		v, _ := version.(map[string]any)
		spec := at(v, "schema", "openAPIV3Schema", "properties", "spec", "properties")
		for _, field := range borrowed {
			inner(at(spec, field))
		}
		for _, field := range at(spec, "podTemplate", "properties") {
			f, _ := field.(map[string]any)
			inner(f)
		}
	}
	if text, err = yaml.Marshal(definition); err != nil {
		return err
	}
	return os.WriteFile(file, append([]byte("---\n"), text...), 0o600)
}

// at descends into nested maps; nil where there is none.
func at(content map[string]any, path ...string) map[string]any {
	for _, name := range path {
		content, _ = content[name].(map[string]any)
	}
	return content
}

// inner drops the descriptions of what a schema is made of, and keeps its own.
func inner(schema map[string]any) {
	for key, value := range schema {
		if key != "description" {
			drop(value)
		}
	}
}

// drop removes every description. A property may be called so; it is a schema then, and no text.
func drop(value any) {
	switch value := value.(type) {
	case map[string]any:
		if _, text := value["description"].(string); text {
			delete(value, "description")
		}
		for _, nested := range value {
			drop(nested)
		}
	case []any:
		for _, nested := range value {
			drop(nested)
		}
	}
}
