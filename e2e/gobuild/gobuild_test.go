// SPDX-License-Identifier: Apache-2.0

package gobuild

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestLockIsHeldByOneAtATime(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	unlock, err := Lock(t.Context(), path, func() {})
	check(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if second, err := Lock(ctx, path, func() {}); err == nil {
		second()
		t.Error("the lock was taken twice")
	}
	unlock()
	unlock, err = Lock(t.Context(), path, func() {})
	check(t, err)
	unlock()
}

func TestTheKeyOfAModuleChangesWithWhatIsBuilt(t *testing.T) {
	dir := t.TempDir()
	keyAfter := func(name, text string) string {
		path := filepath.Join(dir, name)
		check(t, os.MkdirAll(filepath.Dir(path), 0o755))
		check(t, os.WriteFile(path, []byte(text), 0o644))
		key, err := digest(dir)
		check(t, err)
		return key
	}
	first := keyAfter("go.mod", "module x")
	withCode := keyAfter("cmd/main.go", "package main")
	if withCode == first {
		t.Error("code was added and the key stayed")
	}
	if keyAfter("README.md", "words") != withCode {
		t.Error("words were added and the key changed")
	}
}

func TestCommandsAreFoundUnderTheNameThatGoBuildGivesThem(t *testing.T) {
	for pkg, want := range map[string]string{
		"k8s.io/kubernetes/cmd/kubelet": "kubelet",
		"go.etcd.io/etcd/server/v3":     "server",
	} {
		if got := builtName(pkg); got != want {
			t.Errorf("builtName(%q) = %q, want %q", pkg, got, want)
		}
	}
}
