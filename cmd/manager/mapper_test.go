// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"
)

// What the operator may do is generated from what its controllers say that they do, and tested on a cluster.
func TestTheMapperKnowsEveryKindThatTheRoleIsAbout(t *testing.T) {
	o, err := managerOptions(options{})
	if err != nil {
		t.Fatal(err)
	}
	mapper, err := o.MapperProvider(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile("../../config/rbac/role.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var role rbacv1.ClusterRole
	if err := yaml.UnmarshalStrict(data, &role); err != nil {
		t.Fatal(err)
	}
	var known, want []schema.GroupResource
	for _, rule := range role.Rules {
		for _, resource := range rule.Resources {
			if strings.Contains(resource, "/") {
				continue
			}
			gr := schema.GroupResource{Group: rule.APIGroups[0], Resource: resource}
			want = append(want, gr)
			if kind, err := mapper.KindFor(gr.WithVersion("")); err != nil {
				t.Error(err)
			} else if mapping, err := mapper.RESTMapping(kind.GroupKind(), kind.Version); err != nil {
				t.Error(err)
			} else {
				known = append(known, mapping.Resource.GroupResource())
			}
		}
	}
	if diff := cmp.Diff(want, known); diff != "" || len(slices.Compact(want)) < 10 {
		t.Errorf("resources of the role and what they are mapped to (-role +mapper): %s", diff)
	}
}
