// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/mod/modfile"
)

func TestTheModuleOfAReleaseReplacesWhatKubernetesTakesFromItsFolders(t *testing.T) {
	upstream, err := modfile.Parse("go.mod", []byte(`module k8s.io/kubernetes

go 1.26.0

godebug default=go1.26

require (
	go.etcd.io/etcd/server/v3 v3.7.0
	k8s.io/api v0.0.0
	k8s.io/klog/v2 v2.140.0
)

replace k8s.io/api => ./staging/src/k8s.io/api
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := moduleFor(upstream, "v1.37.2", "1.37")
	if err != nil {
		t.Fatal(err)
	}
	got, err := modfile.Parse("go.mod", text, nil)
	if err != nil {
		t.Fatal(err)
	}
	versions := map[string]string{}
	for _, r := range got.Require {
		versions[r.Mod.Path] = r.Mod.Version
	}
	for _, r := range got.Replace {
		versions[r.Old.Path+" =>"] = r.New.Path + " " + r.New.Version
	}
	for _, g := range got.Godebug {
		versions["godebug "+g.Key] = g.Value
	}
	if diff := cmp.Diff(map[string]string{
		"go.etcd.io/etcd/server/v3": "v3.7.0",
		"k8s.io/api":                "v0.0.0",
		"k8s.io/api =>":             "k8s.io/api v0.37.2",
		"k8s.io/klog/v2":            "v2.140.0",
		"k8s.io/kubernetes":         "v1.37.2",
		"godebug default":           "go1.26",
	}, versions); diff != "" {
		t.Error(diff)
	}
	if len(got.Tool) != len(commands) {
		t.Errorf("%d commands in the module, want %d", len(got.Tool), len(commands))
	}
}
