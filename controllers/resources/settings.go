// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/redisha/redisha/api/v1alpha1"
)

// atStart are the settings that volume.sh sees to before a process starts: it brings the data on the volume to where
// they say. appendonly is changed by its to_rdb as well, while the process runs.
var atStart = []string{"appendonly", "dbfilename", "appendfilename", "appenddirname"}

// LiveSettings are the settings that a process of the pod is to have, by name, with their values as CONFIG SET takes
// them: those of spec.config and the operator's defaults. maxmemory follows the limit of memory: the lowest of the
// pod's, the others' and the spec's, for what a master takes each replica has to hold, and a limit is lowered after it.
// Left out are those that only a start can set, and values that CONFIG SET and redis.conf read differently; and save,
// while the pod is to be replaced for another appendonly: a process that goes must not lose what only a snapshot would
// hold.
func LiveSettings(rha *v1alpha1.RedisHA, pod *corev1.Pod, others ...corev1.Pod) map[string]string {
	limit := lower(lowestLimit(pod, others), rha.Spec.Resources.Limits.Memory().Value())
	settings := live(settingsWith(rha, limit))
	if ParseRecord(pod.Annotations[v1alpha1.AnnotationSettings])["appendonly"] != RecordOf(rha)["appendonly"] {
		delete(settings, "save")
	}
	return settings
}

// lowestLimit is the lowest limit of memory of a pod that has one and of the others, in bytes. One that has none has no
// setting that follows it.
func lowestLimit(pod *corev1.Pod, others []corev1.Pod) int64 {
	limit := MemoryLimit(pod)
	if limit == 0 {
		return 0
	}
	for i := range others {
		limit = lower(limit, MemoryLimit(&others[i]))
	}
	return limit
}

// live are those of the settings that CONFIG SET is told, as it takes them.
func live(settings map[string]string) map[string]string {
	told := map[string]string{}
	for name, value := range settings {
		if plain, ok := plainValue(value); ok && !slices.Contains(atStart, name) {
			told[name] = plain
		}
	}
	return told
}

// FormerSettings are [LiveSettings] as they were when conf, a redis.conf that [RedisConf] made, was written.
func FormerSettings(
	rha *v1alpha1.RedisHA, pod *corev1.Pod, conf string, others ...corev1.Pod,
) map[string]string {
	wanted, present, before := LiveSettings(rha, pod, others...), settingsIn(RedisConf(rha)), settingsIn(conf)
	former := live(before)
	for name := range former {
		if same, is := wanted[name]; is && before[name] == present[name] {
			former[name] = same // the limit of this pod may be another than the spec's
		}
	}
	if bytes, err := strconv.ParseInt(former[followsMemory], 10, 64); err == nil && FollowsMemory(rha, followsMemory) {
		former[followsMemory] = strconv.FormatInt(lower(bytes, MaxMemory(lowestLimit(pod, others))), 10)
	}
	return former
}

// settingsIn are the settings of a redis.conf that [RedisConf] made, but for the operator's own.
func settingsIn(conf string) map[string]string {
	owned := map[string]bool{"loadmodule": true, "#": true}
	for _, line := range ownedSettings {
		name, _, _ := strings.Cut(line, " ")
		owned[name] = true
	}
	settings := map[string]string{}
	for line := range strings.Lines(conf) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if owned[name] || name == "" {
			continue
		}
		if before, again := settings[name]; again {
			value = before + " " + value
		}
		settings[name] = value
	}
	return settings
}

// plainValue is a value of redis.conf as CONFIG SET takes it. It is not ok where quotes or backslashes make the two
// read it differently.
func plainValue(value string) (plain string, ok bool) {
	value = strings.TrimSpace(value)
	for _, mark := range []string{`"`, `'`} {
		if inner, is := strings.CutPrefix(value, mark); is && strings.HasSuffix(inner, mark) {
			inner = strings.TrimSuffix(inner, mark)
			return inner, !quoted(inner)
		}
	}
	return strings.Join(strings.Fields(value), " "), !quoted(value)
}

func quoted(value string) bool { return strings.ContainsAny(value, `"'\`) }
