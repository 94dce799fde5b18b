// SPDX-License-Identifier: Apache-2.0

package redisclient_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/redisha/redisha/redisclient"
	"github.com/redisha/redisha/redisclient/redistest"
)

func TestSettingsAreSetWhileRedisRunsAsFarAsItChangesThem(t *testing.T) {
	node := startReal(t, redistest.Config{})
	c := client(t, node)
	before := everySetting(t, c)
	told, err := c.SetSettings(t.Context(), []redisclient.Setting{
		{Name: "maxmemory", Value: "100mb"},
		{Name: "save", Value: "3600 1 300 100"},
		{Name: "client-output-buffer-limit", Value: "replica 256mb 64mb 60"},
		{Name: "databases", Value: "32"},
		{Name: "tcp-backlog", Value: before["tcp-backlog"]}, // cannot be changed, and is so
		{Name: "list-max-ziplist-entries", Value: "64"},     // known to redis.conf only
		{Name: "hash-max-ziplist-entries", Value: "64"},     // a name from before 7.0
	})
	if err != nil || len(told.Refused) > 0 {
		t.Fatalf("%v, refused %v", err, told.Refused)
	}
	if diff := cmp.Diff([]string{"databases", "list-max-ziplist-entries"}, told.Fixed); diff != "" {
		t.Errorf("what Redis does not change at run time (-want +got):\n%s", diff)
	}
	want := map[string]string{
		"maxmemory": "104857600", "save": "3600 1 300 100", "databases": before["databases"],
		"tcp-backlog": before["tcp-backlog"], "hash-max-ziplist-entries": "64",
		"client-output-buffer-limit": before["client-output-buffer-limit"],
	}
	after := everySetting(t, c)
	for name, value := range want {
		if told.Before[name] != before[name] || told.After[name] != after[name] {
			t.Errorf(
				"%s: told %q and then %q; it was %q and is %q",
				name,
				told.Before[name],
				told.After[name],
				before[name],
				after[name],
			)
		}
		if value != after[name] && name != "client-output-buffer-limit" {
			t.Errorf("%s is %q, want %q", name, after[name], value)
		}
	}
	if limit := after["client-output-buffer-limit"]; !strings.Contains(limit, "268435456 67108864 60") {
		t.Errorf("the limit of replicas is %q", limit)
	}
}

// What Redis reports is taken back as it is, so a process can be held to it.
func TestSettingsThatAreAsRedisReportsThemCostOneRead(t *testing.T) {
	c := client(t, startReal(t, redistest.Config{}))
	told, err := c.SetSettings(t.Context(), []redisclient.Setting{
		{Name: "maxmemory", Value: "100mb"},
		{Name: "notify-keyspace-events", Value: "KEA"},
		{
			Name:  "client-output-buffer-limit",
			Value: "pubsub 1mb 1mb 10",
		},
		{Name: "proc-title-template", Value: "{title} {listen-addr}"},
	})
	must(t, err)
	var reported []redisclient.Setting
	for name, value := range told.After {
		reported = append(reported, redisclient.Setting{Name: name, Value: value})
	}
	calls := func() string { return callsOf(t, c, "config|set") }
	before := calls()
	again, err := c.SetSettings(t.Context(), reported)
	must(t, err)
	if calls() != before || cmp.Diff(told.After, again.After) != "" {
		t.Errorf("CONFIG SET was called %s times and then %s; %v", before, calls(), again)
	}
	must(t, user(t, c).ConfigSet(t.Context(), "client-output-buffer-limit", "pubsub 2mb 2mb 20").Err())
	again, err = c.SetSettings(t.Context(), reported)
	must(t, err)
	if again.Before["client-output-buffer-limit"] == told.After["client-output-buffer-limit"] ||
		cmp.Diff(told.After, again.After) != "" {
		t.Errorf("a change by hand was %v and is %v", again.Before, again.After)
	}
}

// callsOf is how often a command was called, as INFO counts it.
func callsOf(t *testing.T, c *redisclient.Client, command string) string {
	t.Helper()
	text, err := user(t, c).Info(t.Context(), "commandstats").Result()
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(text, "cmdstat_"+command+":calls=")
	calls, _, _ := strings.Cut(rest, ",")
	return calls
}

func TestWhereOneSettingIsRefusedNoneIsSet(t *testing.T) {
	node := startReal(t, redistest.Config{})
	c := client(t, node)
	before := everySetting(t, c)
	for name, of := range map[string]struct {
		setting redisclient.Setting
		words   string
	}{
		"a value that Redis cannot read":        {redisclient.Setting{Name: "maxmemory-policy", Value: "all"}, "argument(s) must be one of"},
		"a name that Redis does not know":       {redisclient.Setting{Name: "maxmemroy", Value: "1"}, "unknown setting"},
		"a value that its machine does not let": {redisclient.Setting{Name: "maxclients", Value: "2000000"}, "operating system"},
	} {
		t.Run(name, func(t *testing.T) {
			told, err := c.SetSettings(t.Context(), []redisclient.Setting{
				{Name: "maxmemory", Value: "100mb"}, of.setting, {Name: "hz", Value: "20"},
			})
			must(t, err)
			if !slices.ContainsFunc(told.Refused, func(r redisclient.RefusedSetting) bool {
				return r.Setting == of.setting && strings.Contains(r.Why, of.words)
			}) {
				t.Errorf("refused: %v", told.Refused)
			}
			if diff := cmp.Diff(before, everySetting(t, c)); diff != "" {
				t.Errorf("something was set (-before +after):\n%s", diff)
			}
		})
	}
}

// With less memory than its data takes, Redis evicts keys or refuses writes at once.
func TestAMaxmemoryThatTheDataDoesNotFitInIsNotSet(t *testing.T) {
	node := startReal(t, redistest.Config{})
	c := client(t, node)
	must(t, c.Promote(t.Context()))
	must(t, user(t, c).Set(t.Context(), "much", strings.Repeat("x", 20<<20), 0).Err())
	spared := func(bytes string) []redisclient.Setting {
		return []redisclient.Setting{{Name: "maxmemory", Value: bytes, SparesData: true}, {Name: "hz", Value: "20"}}
	}
	for _, step := range []struct {
		name, bytes string
		has         string
		spares      bool
	}{
		{"there is no limit yet, and the data takes more", "10485760", "0", true},
		{"the data fits", "104857600", "104857600", false},
		{"it is lowered below what the data takes", "10485760", "104857600", true},
		{"it is raised", "209715200", "209715200", false},
		{"it is lowered, and the data fits", "104857600", "104857600", false},
	} {
		told, err := c.SetSettings(t.Context(), spared(step.bytes))
		must(t, err)
		if has := everySetting(t, c); has["maxmemory"] != step.has || has["hz"] != "20" || len(told.Refused) > 0 {
			t.Errorf("%s: maxmemory is %s, hz is %s, refused %v", step.name, has["maxmemory"], has["hz"], told.Refused)
		}
		if (len(told.Spared) > 0) != step.spares {
			t.Errorf("%s: spared %v", step.name, told.Spared)
		}
	}
	told, err := c.SetSettings(t.Context(), []redisclient.Setting{{Name: "maxmemory", Value: "10485760"}})
	must(t, err)
	if told.After["maxmemory"] != "10485760" || len(told.Spared) > 0 {
		t.Errorf("a person's maxmemory is not set: %v", told)
	}
	must(t, user(t, c).ConfigSet(t.Context(), "maxmemory", "5242880").Err())
	if told, err = c.SetSettings(t.Context(), spared("10485760")); err != nil || told.After["maxmemory"] != "10485760" {
		t.Errorf("it is raised, though the data takes more: %v, %v", told, err)
	}
}
