// SPDX-License-Identifier: Apache-2.0

package redisclient_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/redisha/redisha/redisclient"
	"github.com/redisha/redisha/redisclient/redistest"
)

func TestATrialTellsWhatRedisRefusesAndSetsNothing(t *testing.T) {
	node := startReal(t, redistest.Config{})
	c := client(t, node)
	before := everySetting(t, c)
	refused, err := c.TryConfig(t.Context(), []redisclient.Setting{
		{Name: "maxmemory", Value: "4Gi"},
		{Name: "maxmemory-policy", Value: "allkeys-lru"},
		{Name: "maxmemroy", Value: "4gb"},
		{Name: "save", Value: "3600 1 300"},
		{Name: "appendonly", Value: "yes"},
		{Name: "databases", Value: "many"}, // cannot be tried
		{Name: "client-output-buffer-limit", Value: "normal 0 0 0 replica 256mb 64mb 60"},
		{Name: "notify-keyspace-events", Value: ""},
		{Name: "slowlog-max-len", Value: "64"},
		{Name: "loadmodule", Value: "/modules/x.so"},
	})
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{}
	for _, r := range refused {
		told[r.Name] = r.Why
	}
	for name, words := range map[string]string{"maxmemory": "memory value", "maxmemroy": "unknown", "save": "Invalid save parameters"} {
		if !strings.Contains(told[name], words) {
			t.Errorf("%s: %q", name, told[name])
		}
		delete(told, name)
	}
	if len(told) > 0 {
		t.Errorf("refused though it is good, or cannot be tried: %v", told)
	}
	if diff := cmp.Diff(before, everySetting(t, c)); diff != "" {
		t.Errorf("the trial has set something (-before +after):\n%s", diff)
	}
}

// everySetting is what CONFIG GET shows.
func everySetting(t *testing.T, c *redisclient.Client) map[string]string {
	t.Helper()
	all, err := user(t, c).ConfigGet(t.Context(), "*").Result()
	if err != nil {
		t.Fatal(err)
	}
	return all
}
