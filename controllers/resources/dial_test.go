// SPDX-License-Identifier: Apache-2.0

package resources_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/accounts"
	"github.com/redisha/redisha/controllers/encryption"
	"github.com/redisha/redisha/controllers/passwords"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/redisclient"
)

func TestAPodIsTalkedToAsItsSecretSays(t *testing.T) {
	rha := minimal()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "store",
			Name:      "shop-1",
			Labels:    map[string]string{v1alpha1.LabelName: "shop"},
		},
		Status: corev1.PodStatus{PodIP: "10.0.0.1"},
	}
	data, err := encryption.Renewed(nil, resources.NeededNames(rha), resources.GeneratedNames(rha), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	material, err := encryption.Check(data, resources.NeededNames(rha), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for stage, addr := range map[v1alpha1.TLSStage]string{
		"": "10.0.0.1:6379", v1alpha1.TLSStageOffered: "10.0.0.1:6379",
		v1alpha1.TLSStageUsed: "10.0.0.1:6380", v1alpha1.TLSStageRequired: "10.0.0.1:6380",
	} {
		state := encryption.State{Stage: stage, Live: material}
		if stage == "" {
			state = encryption.State{}
		}
		known := accounts.State{Default: passwords.State{Current: "new", Former: []string{"old"}}}
		mounted := resources.MountSecret(rha, known, state, encryption.State{}).Data
		options := resources.RedisOptions(pod, mounted)
		if options.Addr != addr || (options.TLS != nil) != state.Used() {
			t.Errorf("%q: at %s, encrypted %t", stage, options.Addr, options.TLS != nil)
		}
		if options.TLS != nil && options.TLS().ServerName != "shop-1.shop-headless.store.svc" {
			t.Errorf("%q: verified as %q", stage, options.TLS().ServerName)
		}
		if got := options.Credentials(); !slices.Equal(got, []redisclient.Credentials{{Password: "new"}, {Password: "old"}}) {
			t.Errorf("%q: %v", stage, got)
		}
	}
}

// A Redis starts with the settings of several passwords, and takes each.
func TestRedisStartsWhileAPasswordChanges(t *testing.T) {
	one := accounts.User{
		Name: "one", Rules: []string{"~a:*", "+get", "(+set ~b:*)"}, Password: passwords.State{Current: "of one"},
	}
	s := start(t, minimal(), launch{former: []string{"from before"}, users: []accounts.User{one}})
	s.eventually("redis-server answers", func() bool { return s.cli("ping") == "PONG\n" })
	for given, want := range map[string]string{"from before": "PONG\n", password: "PONG\n"} {
		if got := s.cli("--no-auth-warning", "-a", given, "ping"); got != want {
			t.Errorf("%q: %q", given, got)
		}
	}
	if got := s.cli("--no-auth-warning", "-a", "another", "ping"); got == "PONG\n" {
		t.Error("any password is taken")
	}
	for command, says := range map[string]string{"get a:1": "\n", "get b:1": "NOPERM", "set b:1 x": "READONLY"} {
		args := append([]string{"--no-auth-warning", "--user", "one", "-a", "of one"}, strings.Fields(command)...)
		if got := s.cli(args...); !strings.Contains(got, says) {
			t.Errorf("one: %s: %q", command, got)
		}
	}
}
