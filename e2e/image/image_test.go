// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// contents reads a tar archive: what each name has, folders marked by their slash and links by an arrow.
func contents(t *testing.T, r io.Reader) (names []string, files map[string][]byte) {
	t.Helper()
	files = map[string][]byte{}
	reader := tar.NewReader(r)
	for {
		h, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return names, files
		}
		check(t, err)
		data, err := io.ReadAll(reader)
		check(t, err)
		name := h.Name
		if h.Linkname != "" {
			name += " -> " + h.Linkname
		}
		names = append(names, name)
		files[h.Name] = data
	}
}

func write1(t *testing.T, path string, fill func(*Layer)) []byte {
	t.Helper()
	layer, err := NewLayer(t.TempDir())
	check(t, err)
	defer layer.Remove()
	fill(layer)
	check(t, Write(path, "localhost/test:1", Config{Entrypoint: []string{"/a/b"}, User: "1:1"}, layer))
	data, err := os.ReadFile(path)
	check(t, err)
	return data
}

func TestAnArchiveNamesItsImageAndHoldsItsLayers(t *testing.T) {
	dir := t.TempDir()
	fill := func(l *Layer) { check(t, l.Text("/a/b", 0o755, "hello")) }
	data := write1(t, filepath.Join(dir, "1.tar"), fill)
	if !bytes.Equal(data, write1(t, filepath.Join(dir, "2.tar"), fill)) {
		t.Error("the same input gave different bytes")
	}
	_, files := contents(t, bytes.NewReader(data))
	var manifests []manifest
	check(t, json.Unmarshal(files["manifest.json"], &manifests))
	if diff := cmp.Diff([]string{"localhost/test:1"}, manifests[0].RepoTags); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
	var described imageFile
	check(t, json.Unmarshal(files[manifests[0].Config], &described))
	layer := manifests[0].Layers[0]
	if want := "sha256:" + strings.TrimSuffix(layer, ".tar"); described.RootFS.DiffIDs[0] != want {
		t.Errorf("the layer is described as %s, want %s", described.RootFS.DiffIDs[0], want)
	}
	names, inLayer := contents(t, bytes.NewReader(files[layer]))
	if diff := cmp.Diff([]string{"a/", "a/b"}, names); diff != "" {
		t.Errorf("names in the layer (-want +got):\n%s", diff)
	}
	if string(inLayer["a/b"]) != "hello" {
		t.Errorf("a/b holds %q", inLayer["a/b"])
	}
}

func TestWhatIsAddedToATreeKeepsItsLinksAndLeavesWhatIsNotWanted(t *testing.T) {
	var source bytes.Buffer
	w := tar.NewWriter(&source)
	for _, h := range []tar.Header{
		{Typeflag: tar.TypeDir, Name: "./", Mode: 0o755},
		{Typeflag: tar.TypeSymlink, Name: "./bin", Linkname: "usr/bin"},
		{Typeflag: tar.TypeDir, Name: "./usr/bin/", Mode: 0o755},
		{Typeflag: tar.TypeReg, Name: "./usr/bin/sh", Mode: 0o755},
		{Typeflag: tar.TypeLink, Name: "./usr/bin/dash", Linkname: "./usr/bin/sh"},
		{Typeflag: tar.TypeReg, Name: "./usr/share/doc/words", Mode: 0o644},
	} {
		check(t, w.WriteHeader(&h))
	}
	check(t, w.Close())
	data := write1(t, filepath.Join(t.TempDir(), "1.tar"), func(l *Layer) {
		check(t, l.Tar(&source, func(name string) bool { return strings.HasPrefix(name, "usr/share/doc") }))
		check(t, l.Text("bin/more", 0o755, ""))
		check(t, l.Dir("usr", 0o700))
		if err := l.Text("usr/bin/sh", 0o755, ""); err == nil {
			t.Error("a file was added twice, which Docker refuses")
		}
	})
	_, files := contents(t, bytes.NewReader(data))
	for name, layer := range files {
		if !strings.HasSuffix(name, ".tar") {
			continue
		}
		names, _ := contents(t, bytes.NewReader(layer))
		want := []string{"bin -> usr/bin", "usr/", "usr/bin/", "usr/bin/sh", "usr/bin/dash -> usr/bin/sh", "bin/more"}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("names in the layer (-want +got):\n%s", diff)
		}
	}
}
