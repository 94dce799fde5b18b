// SPDX-License-Identifier: Apache-2.0

package testbed

import (
	"bytes"
	"errors"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/redisha/redisha/e2e/sandbox"
)

// rendered returns the objects of a folder of config/ by kind.
func rendered(t *testing.T, folder, without string) map[string][]*unstructured.Unstructured {
	t.Helper()
	root, err := Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := render(filepath.Join(root, "config", folder), without)
	if err != nil {
		t.Fatal(err)
	}
	objects := map[string][]*unstructured.Unstructured{}
	for decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096); ; {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		if errors.Is(err, io.EOF) {
			return objects
		}
		if err != nil {
			t.Fatal(err)
		}
		objects[object.GetKind()] = append(objects[object.GetKind()], object)
	}
}

func TestEverythingThatIsShippedIsInstalledButTheDeployment(t *testing.T) {
	all, installed := rendered(t, "default", ""), rendered(t, "default", "Deployment")
	if len(all["Deployment"]) != 1 || len(installed["Deployment"]) != 0 {
		t.Errorf("%d Deployments shipped, %d installed", len(all["Deployment"]), len(installed["Deployment"]))
	}
	for kind, objects := range all {
		if kind != "Deployment" && len(installed[kind]) != len(objects) {
			t.Errorf("%d of %d objects of kind %s are installed", len(installed[kind]), len(objects), kind)
		}
	}
	for _, kind := range []string{"CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding", "ServiceAccount"} {
		if len(installed[kind]) == 0 {
			t.Errorf("no %s is installed", kind)
		}
	}
}

func TestTheOperatorRunsAsTheServiceAccountThatTheManifestsBind(t *testing.T) {
	for _, kind := range []string{"ClusterRoleBinding", "RoleBinding"} {
		for _, binding := range rendered(t, "default", "")[kind] {
			subjects, _, _ := unstructured.NestedSlice(binding.Object, "subjects")
			for _, s := range subjects {
				subject := s.(map[string]any)
				user := strings.Join(
					[]string{"system:serviceaccount", subject["namespace"].(string), subject["name"].(string)}, ":",
				)
				if user != sandbox.OperatorUser {
					t.Errorf("%s %s is for %s, the operator of the testbed is %s", kind, binding.GetName(), user, sandbox.OperatorUser)
				}
			}
		}
	}
	for _, namespace := range rendered(t, "default", "")["Namespace"] {
		if namespace.GetName() != Namespace {
			t.Errorf("the operator's namespace is %s, its Lease would be in %s", namespace.GetName(), Namespace)
		}
	}
}
