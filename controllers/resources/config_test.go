// SPDX-License-Identifier: Apache-2.0

package resources_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

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
		"proc-title-template":    `"{title} \"{config-file}\""`, // read differently by CONFIG SET
	}
	want := map[string]string{"maxmemory": "4Gi", "save": "", "notify-keyspace-events": "K E"}
	if diff := cmp.Diff(want, resources.ChangedSettings(rha, before)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A Redis that takes all memory of its container is killed, and one that knows its bound refuses writes.
func TestMaxmemoryFollowsTheLimitUnlessItIsSet(t *testing.T) {
	limited := func(config map[string]v1alpha1.ConfigValue) string {
		rha := minimal()
		rha.Spec.Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("2Gi")}
		rha.Spec.Config = config
		return resources.RedisConf(rha)
	}
	for name, tc := range map[string]struct{ conf, want string }{
		"a limit":              {limited(nil), "maxmemory 1610612736"},
		"a limit and a wish":   {limited(map[string]v1alpha1.ConfigValue{"maxmemory": "1gb"}), "maxmemory 1gb"},
		"a limit and no bound": {limited(map[string]v1alpha1.ConfigValue{"maxmemory": "0"}), "maxmemory 0"},
		"no limit":             {resources.RedisConf(minimal()), ""},
	} {
		var got []string
		for line := range strings.Lines(tc.conf) {
			if strings.HasPrefix(line, "maxmemory ") {
				got = append(got, strings.TrimSpace(line))
			}
		}
		if strings.Join(got, ";") != tc.want {
			t.Errorf("%s: %q, want %q", name, got, tc.want)
		}
	}
}
