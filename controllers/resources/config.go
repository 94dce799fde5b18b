// SPDX-License-Identifier: Apache-2.0

package resources

import (
	_ "embed" // the scripts are files, so that a shell linter can read them
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/redisha/redisha/api/v1alpha1"
)

//go:embed scripts/health.sh
var healthScript string

//go:embed scripts/prestop.sh
var preStopScript string

// ConfigMap holds redis.conf and the scripts that probes and preStop run.
func ConfigMap(rha *v1alpha1.RedisHA) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "ConfigMap"},
		ObjectMeta: meta(rha, ConfigMapName(rha.Name)),
		Data: map[string]string{
			"redis.conf": RedisConf(rha),
			"health.sh":  healthScript,
			"prestop.sh": preStopScript,
		},
	}
}

// ownedSettings come last, so that nothing else can win. The API refuses the
// names in spec.config.
var ownedSettings = []string{
	fmt.Sprintf("port %d", RedisPort),
	"bind * -::*",
	"# Probes come by it, whatever the ports take.",
	"unixsocket /tmp/redisha.sock",
	"unixsocketperm 700",
	"protected-mode no",
	"dir " + dataDir,
	"# The boot fence: nothing listens there, so a restarted process is never",
	"# writable and no replica syncs from it until the operator says so.",
	fmt.Sprintf("replicaof %s %d", FenceHost, FencePort),
	"repl-ping-replica-period 1",
	"replica-serve-stale-data yes",
	"replica-read-only yes",
	"rdb-del-sync-files yes",
	"# Raised by the operator while the set is whole.",
	"min-replicas-to-write 0",
	"min-replicas-max-lag 2",
	"# Requirepass and masterauth, and how connections are encrypted, kept in a Secret.",
	"include " + authDir + "/" + AuthConf,
}

// defaultSettings may be replaced by spec.config.
func defaultSettings(persistent bool) map[string]string {
	settings := map[string]string{
		"repl-backlog-size":        "64mb",
		"repl-diskless-sync":       "yes",
		"repl-diskless-sync-delay": "0",
		"repl-timeout":             "15",
		"tcp-keepalive":            "30",
		"appendonly":               "no",
		"save":                     "",
	}
	if persistent {
		settings["appendonly"] = "yes"
		settings["save"] = "3600 1 300 100 60 10000"
	}
	return settings
}

// RefusesWritesUnsaved reports whether its Redis refuses writes while its last snapshot has failed: where it takes
// snapshots, unless stop-writes-on-bgsave-error is off.
func RefusesWritesUnsaved(rha *v1alpha1.RedisHA) bool {
	settings := effectiveSettings(rha)
	return strings.Trim(settings["save"], `"' `) != "" && settings["stop-writes-on-bgsave-error"] != "no"
}

// HasAOF reports whether its Redis keeps its data in an append-only file, and not in snapshots only.
func HasAOF(rha *v1alpha1.RedisHA) bool {
	return strings.EqualFold(effectiveSettings(rha)["appendonly"], "yes")
}

func effectiveSettings(rha *v1alpha1.RedisHA) map[string]string {
	return settingsWith(rha, rha.Spec.Resources.Limits.Memory().Value())
}

// settingsWith are those of spec.config, and the operator's defaults where it says nothing, for a container with that
// limit of memory; zero is none.
func settingsWith(rha *v1alpha1.RedisHA, limit int64) map[string]string {
	settings := defaultSettings(rha.Spec.Storage != nil)
	if _, chosen := rha.Spec.Config["busy-reply-threshold"]; !chosen { // another name for the same
		settings["lua-time-limit"] = strconv.Itoa(busyReplyThreshold(rha))
	}
	if limit > 0 {
		settings[followsMemory] = strconv.FormatInt(MaxMemory(limit), 10)
	}
	for name, value := range rha.Spec.Config {
		settings[name] = string(value)
	}
	return settings
}

// followsMemory is the setting that follows the limit of memory, unless spec.config has it.
const followsMemory = "maxmemory"

// MaxMemory is what data may take of a container's limit of memory, in bytes. The rest is for what Redis does not
// count: pages that are copied while it writes a snapshot or syncs a replica, and fragmentation.
func MaxMemory(limit int64) int64 { return limit / 4 * 3 }

// FollowsMemory reports a setting that follows the limit of memory.
func FollowsMemory(rha *v1alpha1.RedisHA, name string) bool {
	_, chosen := rha.Spec.Config[followsMemory]
	return name == followsMemory && !chosen
}

// busyReplyThreshold is after how many milliseconds of a script Redis answers BUSY. Before that it is silent; a script
// that takes longer than down-after would be taken for a hung process, and the master replaced. Redis's own default is
// longer than ours of down-after.
func busyReplyThreshold(rha *v1alpha1.RedisHA) int {
	const ofRedis = 5000
	down := rha.Spec.Failover.DownAfterMilliseconds
	if down <= 0 {
		down = v1alpha1.DefaultDownAfterMilliseconds
	}
	return min(int(down)*2/3, ofRedis)
}

// repeated settings take that many words a line; Redis before 7.0 knows no
// longer lines.
var repeated = map[string]int{"save": 2, "client-output-buffer-limit": 4}

// RedisConf is the text of redis.conf, with one setting a line and no password.
// It is valid for Redis 7.0 and later and for Valkey.
func RedisConf(rha *v1alpha1.RedisHA) string {
	settings := effectiveSettings(rha)
	var b strings.Builder
	b.WriteString("# Written by redisha; change it in spec.config of the RedisHA.\n")
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		for _, value := range splitSetting(name, settings[name]) {
			fmt.Fprintf(&b, "%s %s\n", name, value)
		}
	}
	for _, module := range rha.Spec.Modules {
		fmt.Fprintf(&b, "loadmodule %s", module.Path)
		for _, arg := range module.Args {
			fmt.Fprintf(&b, " %s", arg)
		}
		b.WriteString("\n")
	}
	for _, line := range ownedSettings {
		b.WriteString(line + "\n")
	}
	return b.String()
}

func splitSetting(name, value string) []string {
	if strings.TrimSpace(value) == "" {
		return []string{`""`}
	}
	words := strings.Fields(value)
	width := repeated[name]
	switch {
	case len(words) > 1 && width == 0 && !quoted(value):
		// CONFIG SET takes several words for one value, and so does redis.conf where they are in quotes.
		return []string{`"` + value + `"`}
	case width == 0 || len(words)%width != 0:
		return []string{value}
	}
	var lines []string
	for chunk := range slices.Chunk(words, width) {
		lines = append(lines, strings.Join(chunk, " "))
	}
	return lines
}

// ChangedSettings are the settings of spec.config that are not so in a redis.conf that was written before, with their
// values as CONFIG SET takes them. Left out are values with quotes, which redis.conf and CONFIG SET read differently.
func ChangedSettings(rha *v1alpha1.RedisHA, before string) map[string]string {
	had := map[string]bool{}
	for line := range strings.Lines(before) {
		had[strings.TrimSpace(line)] = true
	}
	changed := map[string]string{}
	for name, value := range rha.Spec.Config {
		lines := splitSetting(name, string(value))
		same := !slices.ContainsFunc(lines, func(line string) bool { return !had[strings.TrimSpace(name+" "+line)] })
		if plain, ok := plainValue(string(value)); ok && !same {
			changed[name] = plain
		}
	}
	return changed
}
