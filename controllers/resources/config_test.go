// SPDX-License-Identifier: Apache-2.0

package resources_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
)

func TestOnlyWhatAPersonChangedIsTried(t *testing.T) {
	rha := full()
	before := resources.ConfigMap(rha).Data["redis.conf"]
	if got := resources.ChangedSettings(rha, before); len(got) > 0 {
		t.Errorf("nothing was changed: %v", got)
	}
	rha.Spec.Config = map[string]v1alpha1.ConfigValue{
		"maxmemory":              "4Gi",
		"maxmemory-policy":       "allkeys-lru", // as before
		"save":                   `""`,
		"notify-keyspace-events": " K  E ",
		"proc-title-template":    `"{title} {config-file}"`, // read differently by CONFIG SET
	}
	want := map[string]string{"maxmemory": "4Gi", "save": "", "notify-keyspace-events": "K E"}
	if diff := cmp.Diff(want, resources.ChangedSettings(rha, before)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
