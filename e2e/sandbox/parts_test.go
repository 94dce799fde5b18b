// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

func TestExpandFollowsTheRulesOfContainers(t *testing.T) {
	values := map[string]string{"NAME": "cache", "EMPTY": ""}
	lookUp := func(name string) (string, bool) { v, ok := values[name]; return v, ok }
	for text, want := range map[string]string{
		"plain":            "plain",
		"$(NAME)-0":        "cache-0",
		"[$(EMPTY)]":       "[]",
		"$(UNKNOWN)":       "$(UNKNOWN)",
		"$$(NAME)":         "$(NAME)",
		"$NAME ${NAME} $":  "$NAME ${NAME} $",
		"$(NAME":           "$(NAME",
		"$(NAME)$(NAME)$$": "cachecache$",
	} {
		if got := expand(text, lookUp); got != want {
			t.Errorf("expand(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestImagesOfServersAreFoundByTheirBaseName(t *testing.T) {
	for name, want := range map[string]string{
		"redis":                                     "redis",
		"redis:7.2-alpine":                          "redis",
		"docker.io/library/redis:8":                 "redis",
		"registry.example:5000/team/redis":          "redis",
		"redis:7@sha256:0123456789abcdef":           "redis",
		"valkey/valkey:8":                           "valkey",
		"redis/redis-stack-server:7.4.0":            "redis-stack-server",
		"registry.example:5000/redis:x-nonexistent": "",
	} {
		if got := imageBase(name); got != want {
			t.Errorf("imageBase(%q) = %q, want %q", name, got, want)
		}
	}
	if _, err := resolveImage(nil, "example.com/nothing:1"); err == nil {
		t.Error("an unknown image was found")
	}
}

func TestVolumeFilesChangeAllAtOnceAndOnlyWhenTheyDiffer(t *testing.T) {
	dir := t.TempDir()
	first := volumeFiles{"a": {[]byte("1"), 0o644}, "deep/b": {[]byte("1"), 0o400}}
	check(t, first.write(dir))
	version, err := os.Readlink(filepath.Join(dir, "..data"))
	check(t, err)
	check(t, first.write(dir))
	if again, _ := os.Readlink(filepath.Join(dir, "..data")); again != version {
		t.Error("writing the same content made a new version")
	}
	check(t, volumeFiles{"a": {[]byte("2"), 0o644}, "c": {[]byte("2"), 0o644}}.write(dir))
	var names []string
	entries, err := os.ReadDir(dir)
	check(t, err)
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), "..") {
			names = append(names, entry.Name())
		}
	}
	if diff := cmp.Diff([]string{"a", "c"}, names); diff != "" {
		t.Errorf("files in the volume (-want +got):\n%s", diff)
	}
	if content, _ := os.ReadFile(filepath.Join(dir, "a")); string(content) != "2" {
		t.Errorf("a is %q, want 2", content)
	}
	if _, err := os.Stat(filepath.Join(dir, version)); !os.IsNotExist(err) {
		t.Errorf("the old version is still there: %v", err)
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestVolumeItemsChooseAndMissingKeysAreErrorsUnlessOptional(t *testing.T) {
	data := map[string][]byte{"x": []byte("1"), "y": []byte("2")}
	files := volumeFiles{}
	check(
		t,
		files.add(
			data, nil, []corev1.KeyToPath{{Key: "x", Path: "in/x", Mode: ptr.To(int32(0o400))}}, ptr.To(int32(0o440)), nil,
		),
	)
	want := volumeFiles{"in/x": {[]byte("1"), 0o400}}
	if diff := cmp.Diff(want, files, cmp.AllowUnexported(volumeFile{})); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	absent := []corev1.KeyToPath{{Key: "z", Path: "z"}}
	if err := files.add(data, nil, absent, nil, nil); err == nil {
		t.Error("a missing key was no error")
	}
	check(t, files.add(data, nil, absent, nil, ptr.To(true)))
}

func TestBinariesOfKubeBinDirAreTakenAsTheyAreOrNamedAsMissing(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(EnvKubeBinDir, dir)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := KubeBinaries(ctx, io.Discard); err == nil || !strings.Contains(err.Error(), "etcd") {
		t.Errorf("with an empty folder: %v, want the name of what lacks", err)
	}
	for _, b := range kubeBinaries {
		check(t, os.WriteFile(filepath.Join(dir, b.Name), nil, 0o755))
	}
	if got, err := KubeBinaries(ctx, io.Discard); err != nil || got != dir {
		t.Errorf("KubeBinaries = %q, %v; want %q", got, err, dir)
	}
}
