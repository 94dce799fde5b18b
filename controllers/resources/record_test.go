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

func TestARecordOfSettingsIsReadAsItWasWritten(t *testing.T) {
	rha := minimal()
	rha.Spec.Config = map[string]v1alpha1.ConfigValue{
		"maxmemory": "1gb", "save": `""`, "appendonly": "no", "busy-reply-threshold": "100",
		"proc-title-template": `"{title} \"{listen-addr}\""`, // CONFIG SET reads it differently
	}
	record := resources.RecordOf(rha)
	if diff := cmp.Diff(record, resources.ParseRecord(record.String())); diff != "" {
		t.Errorf("%s is read as another: %s", record, diff)
	}
	for name, fixed := range map[string]bool{
		"maxmemory": false, "save": false, "appendonly": true, "proc-title-template": true, "lua-time-limit": false,
	} {
		if got, is := record[name]; !is || got.Fixed != fixed {
			t.Errorf("%s is recorded as %+v, want one that only a start changes: %t", name, got, fixed)
		}
	}
}

func TestAProcessIsToldWhatItsPodHasRoomFor(t *testing.T) {
	rha := full()
	template := resources.StatefulSet(rha, 1).Spec.Template
	pod := &corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
	pod.Spec.Containers[0].Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")}
	rha.Spec.Config = map[string]v1alpha1.ConfigValue{
		"save":                "900  1",
		"dbfilename":          "shop.rdb",
		"proc-title-template": `"{title} x"`,
	}
	want := map[string]string{
		"maxmemory": "805306368", "save": "900 1", "proc-title-template": "{title} x", "tcp-keepalive": "30",
		"repl-backlog-size": "64mb", "repl-diskless-sync": "yes", "repl-diskless-sync-delay": "0", "repl-timeout": "15",
		"lua-time-limit": "2000",
	}
	if diff := cmp.Diff(want, resources.LiveSettings(rha, pod)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	written := resources.RedisConf(rha)
	rha.Spec.Config["hz"], rha.Spec.Config["save"] = "20", "60 1"
	if diff := cmp.Diff(want, resources.FormerSettings(rha, pod, written)); diff != "" {
		t.Errorf("before the change (-want +got):\n%s", diff)
	}
}

// A Redis that is told to end writes a snapshot where it is to take any. Without that, and without the append-only file
// that its successor will have, its writes would be gone.
func TestASnapshotIsNotGivenUpBeforeTheAppendOnlyFileIsThere(t *testing.T) {
	rha := full()
	template := resources.StatefulSet(rha, 1).Spec.Template
	pod := &corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
	rha.Spec.Config = map[string]v1alpha1.ConfigValue{"save": "", "appendonly": "yes"}
	if save, told := resources.LiveSettings(rha, pod)["save"]; told {
		t.Errorf("a process without an append-only file is told save %q", save)
	}
	pod.ObjectMeta = resources.StatefulSet(rha, 1).Spec.Template.ObjectMeta
	if _, told := resources.LiveSettings(rha, pod)["save"]; !told {
		t.Error("a process with one is not told save")
	}
}

// CONFIG SET takes several words for one value, and so must the redis.conf of the next start.
func TestAValueOfSeveralWordsIsReadAtAStartAsWhileRedisRuns(t *testing.T) {
	rha := minimal()
	rha.Spec.Config = map[string]v1alpha1.ConfigValue{
		"proc-title-template": "{title} {listen-addr}", "latency-tracking-info-percentiles": "50 99",
		"oom-score-adj-values": "0 200 800", "client-output-buffer-limit": "replica 256mb 64mb 60 pubsub 1mb 1mb 10",
	}
	s := startRedis(t, rha)
	for name, want := range map[string]string{
		"proc-title-template": "{title} {listen-addr}", "latency-tracking-info-percentiles": "50 99",
		"oom-score-adj-values": "0 200 800", "client-output-buffer-limit": "pubsub 1048576 1048576 10",
	} {
		if got := s.cli("config", "get", name); !strings.Contains(got, want) {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}
