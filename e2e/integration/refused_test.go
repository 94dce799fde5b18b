// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/maintenance"
	"github.com/redisha/redisha/e2e/testbed"
)

// object is a RedisHA as a person writes it.
func object(t *testing.T, ns, name, spec string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	if err := yaml.Unmarshal(
		[]byte("apiVersion: redisha.io/v1alpha1\nkind: RedisHA\nspec:\n"+indent(spec)), &u.Object,
	); err != nil {
		t.Fatal(err)
	}
	u.SetNamespace(ns)
	u.SetName(name)
	return u
}

func indent(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  ")
}

// TestBadInputIsRefusedNamingFieldAndRemedy creates each bad RedisHA at the real API server.
func TestBadInputIsRefusedNamingFieldAndRemedy(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	tests := map[string]refusal{
		"no replicas and no disk": {
			spec: "replicas: 0",
			says: []string{"spec.replicas 0", "create a RedisHA with spec.storage"},
		},
		"no replicas and nothing kept": {
			spec: "replicas: 0\nstorage: {}\nconfig: {appendonly: 'No', save: ''}",
			says: []string{"spec.replicas 0", "spec.config.appendonly", "remove appendonly, or set save"},
		},
		"no replicas and nothing kept, in quotes": {
			spec: "replicas: 0\nstorage: {}\nconfig: {appendonly: 'no', save: '\"\"'}",
			says: []string{"remove appendonly, or set save"},
		},
		"no replicas and no snapshot at the end": {
			spec: "replicas: 0\nstorage: {}\nconfig: {appendonly: 'no', shutdown-on-sigterm: nosave}",
			says: []string{"no nosave in shutdown-on-sigterm"},
		},
		"negative replicas": {spec: "replicas: -1", says: []string{"spec.replicas", "use 1 to 9"}},
		"too many replicas": {spec: "replicas: 10", says: []string{"spec.replicas", "use 1 to 9"}},
		"replicas in words": {spec: "replicas: three", says: []string{"spec.replicas", "integer"}},
		"an empty image":    {spec: "image: ''", says: []string{"spec.image", "remove the field for the default"}},
		"unparsable size":   {spec: "storage: {size: big}", says: []string{"spec.storage.size", "write it like 8Gi"}},
		"a size of nothing": {spec: "storage: {size: 0}", says: []string{"spec.storage.size", "write it like 8Gi"}},
		"unparsable memory": {
			spec: "resources: {limits: {memory: lots}}",
			says: []string{"spec.resources.limits.memory", "write them like 500m or 2Gi"},
		},
		"impatient down-after": {
			spec: "failover: {downAfterMilliseconds: 499}",
			says: []string{"spec.failover.downAfterMilliseconds", "use 500 or more"},
		},
		"unknown mode": {
			spec: "failover: {mode: Auto}",
			says: []string{"spec.failover.mode", `"Automatic", "Manual", "Paused"`},
		},
		"negative lag": {spec: "failover: {maxLagBytes: -1}", says: []string{"spec.failover.maxLagBytes"}},
		"long cooldown": {
			spec: "failover: {cooldownSeconds: 3601}",
			says: []string{"spec.failover.cooldownSeconds", "3600"},
		},
		"a config key in capitals": {
			spec: "config: {REPLICAOF: 'a 1'}", says: []string{"spec.config", "lower case"},
		},
		"a setting smuggled in": {
			spec: `config: {maxmemory: "1gb\nreplicaof no one"}`, says: []string{"spec.config", "single line"},
		},
		"persistence without a disk": {
			spec: "config: {appendonly: 'yes'}",
			says: []string{"spec.config.appendonly", "set spec.storage"},
		},
		"snapshots without a disk": {
			spec: "config: {save: '60 1'}",
			says: []string{"spec.config.save", "set spec.storage"},
		},
		"Redis Cluster": {spec: "config: {cluster-enabled: 'yes'}", says: []string{"spec.config", "cluster-"}},
		"an unnamed Secret": {
			spec: "auth: {passwordSecretRef: {name: ''}}",
			says: []string{"spec.auth.passwordSecretRef.name"},
		},
		"a budget in words": {
			spec: "podDisruptionBudget: {maxUnavailable: abc}",
			says: []string{"spec.podDisruptionBudget.maxUnavailable", "write it like 1 or 50%"},
		},
		"a budget beyond all pods": {
			spec: "podDisruptionBudget: {maxUnavailable: '101%'}",
			says: []string{"spec.podDisruptionBudget.maxUnavailable", "write it like 1 or 50%"},
		},
		"a negative budget": {
			spec: "podDisruptionBudget: {maxUnavailable: -1}",
			says: []string{"spec.podDisruptionBudget.maxUnavailable", "write it like 1 or 50%"},
		},
		"a label with a blank": {
			spec: "podTemplate: {labels: {team: 'a b'}}",
			says: []string{"spec.podTemplate.labels", "begins and ends with a letter or digit"},
		},
		"a label that is too long": {
			spec: "podTemplate: {labels: {team: " + strings.Repeat("x", 64) + "}}",
			says: []string{"spec.podTemplate.labels", "63"},
		},
		"a label with a bad name": {
			spec: "podTemplate: {labels: {'my team': a}}",
			says: []string{"spec.podTemplate.labels", "an optional DNS name and '/'"},
		},
		"a node that cannot be": {
			spec: "podTemplate: {nodeSelector: {disk: 'ssd!'}}",
			says: []string{"spec.podTemplate.nodeSelector", "begins and ends with a letter or digit"},
		},
		"an annotation's bad name": {
			spec: "podTemplate: {annotations: {'a b': x}}",
			says: []string{"spec.podTemplate.annotations", "an optional DNS name and '/'"},
		},
		"a Service's bad annotation": {
			spec: "services: {master: {annotations: {'a b': x}}}",
			says: []string{"spec.services.master.annotations", "an optional DNS name and '/'"},
		},
		"a load balancer's class without one": {
			spec: "services: {master: {loadBalancerClass: a/b}}", says: []string{"spec.services.master", "set the type"},
		},
		"source ranges without a load balancer": {
			spec: "services: {replicas: {type: NodePort, loadBalancerSourceRanges: [10.0.0.0/8]}}",
			says: []string{"spec.services.replicas", "set the type"},
		},
		"an address in the place of a range": {
			spec: "services: {master: {type: LoadBalancer, loadBalancerSourceRanges: [10.0.0.1]}}",
			says: []string{"loadBalancerSourceRanges", "10.0.0.0/8"},
		},
		"a traffic policy within the cluster": {
			spec: "services: {master: {externalTrafficPolicy: Local}}",
			says: []string{"spec.services.master", "NodePort or LoadBalancer"},
		},
		"a label of the operator on a Service": {
			spec: "services: {master: {labels: {redisha.io/name: other}}}",
			says: []string{"spec.services.master.labels", "choose other names"},
		},
		"a module in config": {spec: "config: {loadmodule: /m.so}", says: []string{"spec.config", "spec.modules"}},
		"a module by name":   {spec: "modules: [{path: search.so}]", says: []string{"spec.modules", "absolute path"}},
		"a module's argument of two words": {
			spec: "modules: [{path: /m.so, args: ['a b']}]", says: []string{"spec.modules", "one word"},
		},
		"a module's argument with a quote": {
			spec: `modules: [{path: /m.so, args: ["a\"b"]}]`, says: []string{"spec.modules", "one word"},
		},
		"too little time to end": {
			spec: "podTemplate: {terminationGracePeriodSeconds: 5}",
			says: []string{"spec.podTemplate.terminationGracePeriodSeconds", "at least 30"},
		},
		"the operator's label": {
			spec: "podTemplate: {labels: {redisha.io/role: master}}",
			says: []string{"spec.podTemplate.labels", "choose other names"},
		},
		"the operator's container": {
			spec: "podTemplate: {extraContainers: [{name: redis, image: x}]}",
			says: []string{"spec.podTemplate.extraContainers", "choose another"},
		},
		"the operator's volume": {
			spec: "podTemplate: {extraVolumes: [{name: data, emptyDir: {}}]}",
			says: []string{"spec.podTemplate.extraVolumes", "choose another"},
		},
		"a name too long for pods": {
			name: strings.Repeat("x", 53), spec: "{}", says: []string{"metadata.name", "52", "choose a shorter name"},
		},
		"a name that no Service can have": {
			name: "1cache",
			spec: "{}",
			says: []string{"metadata.name", "begins with a letter"},
		},
		"a name with a dot": {name: "my.cache", spec: "{}", says: []string{"metadata.name", "DNS label"}},
	}
	for _, setting := range []string{
		"replicaof", "slaveof", "masterauth", "masteruser", "requirepass", "port", "bind", "dir", "unixsocket", "user",
		"min-replicas-to-write", "min-slaves-to-write", "min-replicas-max-lag", "daemonize", "include", "protected-mode",
		"rename-command", "aclfile", "replica-announce-ip", "replica-priority", "rdb-del-sync-files", "repl-ping-replica-period",
	} {
		tests["the operator's setting "+setting] = refusal{
			spec: "config: {" + setting + ": x}",
			says: []string{"spec.config", setting, "remove the setting"},
		}
	}
	maps.Copy(tests, refusedUsers())
	maps.Copy(tests, refusedWindows())
	for what, tc := range tests {
		t.Run(what, func(t *testing.T) {
			name := tc.name
			if name == "" {
				name = "bad"
			}
			expectRefusal(t, bed.Client.Create(t.Context(), object(t, ns, name, tc.spec)), tc.says)
		})
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(object(t, ns, "any", "{}").GroupVersionKind())
	if err := bed.Client.List(t.Context(), list, client.InNamespace(ns)); err != nil {
		t.Fatal(err)
	}
	if len(list.Items) != 0 {
		t.Errorf("%d refused objects exist", len(list.Items))
	}
}

// refusal is a RedisHA that is not taken.
type refusal struct {
	name string
	spec string
	says []string
}

func refusedUsers() map[string]refusal {
	tests, user := map[string]refusal{}, "auth: {users: [{name: %s, passwordSecretRef: {name: s}, rules: [%s]}]}"
	for rule, says := range map[string]string{
		">secret": "holds no password", "#abc": "holds no password", "NOPASS": "holds no password", "reset": "resets none",
		"+get +set": "as an item of its own", `~a"b`: "as an item of its own", `~a\b`: "as an item of its own",
		"(+get": "as an item of its own",
	} {
		tests["the rule "+rule] = refusal{
			spec: fmt.Sprintf(user, "one", strconv.Quote(rule)), says: []string{"spec.auth.users[0].rules[0]", says},
		}
	}
	for _, name := range []string{"default", "redisha-operator", "a b", "x,y"} {
		tests["the user "+name] = refusal{
			spec: fmt.Sprintf(user, strconv.Quote(name), "+get"), says: []string{"spec.auth.users", "redisha-"},
		}
	}
	return tests
}

func refusedWindows() map[string]refusal {
	tests := map[string]refusal{}
	window := "maintenanceWindows: [{schedule: %s, durationMinutes: %s, timeZone: %s}]"
	for _, schedule := range []string{
		"", "@daily", "@every 1h", "0 3 * *", "0 3 * * * *", "TZ=UTC 0 3 * * *", "60 * * * *", "0 24 * * *", "0 3 0 * *",
		"0 3 32 * *", "0 3 * 13 *", "0 3 * * 7", "a * * * *", "*/0 * * * *", "0,, * * * *",
	} {
		tests["the schedule "+schedule] = refusal{
			spec: fmt.Sprintf(window, strconv.Quote(schedule), "60", "UTC"),
			says: []string{"spec.maintenanceWindows[0].schedule", "write it like '0 3 * * sat'"},
		}
	}
	for _, zone := range []string{"Local", "Mars/Olympus", "+02:00", "../etc/passwd", "Europe/"} {
		tests["the zone "+zone] = refusal{
			spec: fmt.Sprintf(window, "0 3 * * *", "60", strconv.Quote(zone)),
			says: []string{"spec.maintenanceWindows[0].timeZone", "write it like Europe/Berlin"},
		}
	}
	for _, minutes := range []string{"0", "-1", "10081", "2h"} {
		tests["a window of "+minutes] = refusal{
			spec: fmt.Sprintf(window, "0 3 * * *", minutes, "UTC"), says: []string{"spec.maintenanceWindows[0].durationMinutes"},
		}
	}
	return tests
}

func TestWindowsOfEveryFormAreTaken(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	for i, schedule := range []string{
		"* * * * *", "0 3 * * sat", "0,30 1-5/2 */2 jan-Mar,12 MON-FRI", "5/10 23 31 12 0-6", "00 09 01 01 ?", "0  3  *  *  *",
	} {
		spec := fmt.Sprintf(
			"maintenanceWindows: [{schedule: '%s', durationMinutes: 60, timeZone: America/Argentina/Ushuaia}]",
			schedule,
		)
		if err := bed.Client.Create(t.Context(), object(t, ns, "w"+strconv.Itoa(i), spec)); err != nil {
			t.Errorf("%s: %v", schedule, err)
		}
		windows := []v1alpha1.MaintenanceWindow{{Schedule: schedule, DurationMinutes: 60, TimeZone: "Etc/GMT+5"}}
		if _, err := maintenance.At(windows, time.Now()); err != nil {
			t.Errorf("it is taken, and cannot be read: %v", err)
		}
	}
}

// What Redis's own rules may look like is taken.
func TestRulesOfEveryFormAreTaken(t *testing.T) {
	t.Parallel()
	rules := `["~*", "%R~a:{x}*", "&news.*", "allkeys", "+@read", "-@dangerous", "+config|get", "(+get ~b:*)", "off"]`
	u := object(
		t,
		namespace(t),
		"good",
		"auth: {rules: "+rules+", users: [{name: o.n-e_1@x, passwordSecretRef: {name: s}}]}",
	)
	if err := bed.Client.Create(t.Context(), u, client.DryRunAll); err != nil {
		t.Error(err)
	}
}

func expectRefusal(t *testing.T, err error, says []string) {
	t.Helper()
	if err == nil {
		t.Fatal("it was accepted")
	}
	for _, part := range says {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the message does not say %q: %v", part, err)
		}
	}
	t.Log(err)
}

// TestChangesThatCannotBeMadeAreRefusedAndChangeNothing updates a RedisHA at the real API server.
func TestChangesThatCannotBeMadeAreRefusedAndChangeNothing(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	ctx := t.Context()
	disk := object(t, ns, "disk", "replicas: 1\nstorage: {size: 2Gi, storageClassName: standard}")
	memory := object(t, ns, "memory", "replicas: 1")
	for _, u := range []*unstructured.Unstructured{disk, memory} {
		if err := bed.Client.Create(ctx, u); err != nil {
			t.Fatal(err)
		}
	}
	tests := map[string]struct {
		on    *unstructured.Unstructured
		patch string
		says  []string
	}{
		"storage shrunk": {
			on:    disk,
			patch: `{"spec":{"storage":{"size":"1Gi"}}}`,
			says:  []string{"spec.storage", "cannot shrink", "keep the size"},
		},
		"class changed": {
			on:    disk,
			patch: `{"spec":{"storage":{"storageClassName":"fast"}}}`,
			says:  []string{"spec.storage.storageClassName", "create a new RedisHA"},
		},
		"class removed": {
			on:    disk,
			patch: `{"spec":{"storage":{"storageClassName":null}}}`,
			says:  []string{"spec.storage.storageClassName", "create a new RedisHA"},
		},
		"access modes changed": {
			on:    disk,
			patch: `{"spec":{"storage":{"accessModes":["ReadWriteMany"]}}}`,
			says:  []string{"spec.storage.accessModes", "create a new RedisHA"},
		},
		"storage removed": {
			on:    disk,
			patch: `{"spec":{"storage":null}}`,
			says:  []string{"spec.storage", "cannot be added or removed"},
		},
		"storage added": {
			on:    memory,
			patch: `{"spec":{"storage":{"size":"1Gi"}}}`,
			says:  []string{"spec.storage", "cannot be added or removed"},
		},
		"scaled to nothing": {
			on:    memory,
			patch: `{"spec":{"replicas":0}}`,
			says:  []string{"spec.replicas", "spec.storage"},
		},
		"an owned setting": {
			on:    memory,
			patch: `{"spec":{"config":{"replicaof":"no one"}}}`,
			says:  []string{"spec.config", "replicaof", "remove the setting"},
		},
		"the image made empty": {
			on:    memory,
			patch: `{"spec":{"image":""}}`,
			says:  []string{"spec.image", "remove the field"},
		},
		"down-after made short": {
			on:    memory,
			patch: `{"spec":{"failover":{"downAfterMilliseconds":1}}}`,
			says:  []string{"spec.failover.downAfterMilliseconds", "use 500 or more"},
		},
	}
	for what, tc := range tests {
		t.Run(what, func(t *testing.T) {
			before := tc.on.DeepCopy()
			if err := bed.Client.Get(ctx, client.ObjectKeyFromObject(before), before); err != nil {
				t.Fatal(err)
			}
			err := bed.Client.Patch(ctx, before.DeepCopy(), client.RawPatch("application/merge-patch+json", []byte(tc.patch)))
			expectRefusal(t, err, tc.says)
			after := before.DeepCopy()
			if err := bed.Client.Get(ctx, client.ObjectKeyFromObject(after), after); err != nil {
				t.Fatal(err)
			}
			if before.GetGeneration() != after.GetGeneration() {
				t.Errorf(
					"the refused change changed the spec: generation %d became %d", before.GetGeneration(), after.GetGeneration(),
				)
			}
		})
	}
	grown := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"storage":{"size":"3Gi"}}}`))
	if err := bed.Client.Patch(ctx, disk.DeepCopy(), grown); err != nil {
		t.Errorf("storage may grow, but: %v", err)
	}
}

// TestAnEmptySpecGetsSafeDefaults, and so does an absent one.
func TestAnEmptySpecGetsSafeDefaults(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	absent := object(t, ns, "absent", "{}")
	delete(absent.Object, "spec")
	for _, u := range []*unstructured.Unstructured{object(t, ns, "empty", "{}"), absent} {
		if err := bed.Client.Create(t.Context(), u, client.DryRunAll); err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]any{
			"replicas": int64(3), "image": "docker.io/library/redis:7.4",
			"failover.mode": "Automatic", "failover.downAfterMilliseconds": int64(3000), "failover.cooldownSeconds": int64(30),
			"failover.maxLagBytes": int64(67108864), "failover.consistency": "Bounded",
			"services.master.type": "ClusterIP", "services.replicas.type": "ClusterIP", "podDisruptionBudget.mode": "Enabled",
		} {
			got, _, _ := unstructured.NestedFieldNoCopy(u.Object, append([]string{"spec"}, strings.Split(path, ".")...)...)
			if got != want {
				t.Errorf("%s: spec.%s is %v, want %v", u.GetName(), path, got, want)
			}
		}
		if _, found, _ := unstructured.NestedMap(u.Object, "spec", "storage"); found {
			t.Error("storage was asked for by no claim")
		}
	}
}

// TestTheDefinitionFitsIntoKubectlApply: kubectl keeps what it applied in an
// annotation, and annotations may hold 256 KiB in all. A third of that is to
// spare.
func TestTheDefinitionFitsIntoKubectlApply(t *testing.T) {
	t.Parallel()
	root, err := testbed.Root()
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(root, "config", "crd", "bases", "redisha.io_redishas.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	compact, err := yaml.YAMLToJSON(text)
	if err != nil {
		t.Fatal(err)
	}
	if limit := (256 << 10) * 2 / 3; len(compact) > limit {
		t.Errorf("the CRD has %d bytes, more than %d: leave descriptions of embedded types out", len(compact), limit)
	}
}
