// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

type volumeFile struct {
	content []byte
	mode    fs.FileMode
}

// volumeFiles is the content of a volume made from API objects, by relative path.
type volumeFiles map[string]volumeFile

// add takes in a ConfigMap's or Secret's data, or what the items choose of it.
func (f volumeFiles) add(
	data map[string][]byte, err error, items []corev1.KeyToPath, mode *int32, optional *bool,
) error {
	if err != nil {
		if notFoundYet(err) && ptr.Deref(optional, false) {
			return nil
		}
		return err
	}
	for _, item := range items {
		content, ok := data[item.Key]
		if !ok {
			if ptr.Deref(optional, false) {
				continue
			}
			return fmt.Errorf("references non-existent config key: %s", item.Key)
		}
		f[item.Path] = volumeFile{content, fileMode(item.Mode, mode)}
	}
	if len(items) > 0 {
		return nil
	}
	for key, content := range data {
		f[key] = volumeFile{content, fileMode(nil, mode)}
	}
	return nil
}

// write brings the content into the folder so that a reader sees all of the old or all of the new: ..data is a link to
// a folder with the files, and exchanged in one step, as in a kubelet.
func (f volumeFiles) write(dir string) error {
	data := filepath.Join(dir, "..data")
	old, _ := os.Readlink(data)
	if old != "" && f.same(data) {
		return nil
	}
	version, err := os.MkdirTemp(dir, "..version-")
	if err != nil {
		return err
	}
	if err := os.Chmod(version, 0o755); err != nil {
		return err
	}
	for name, file := range f {
		path := filepath.Join(version, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, file.content, file.mode); err != nil {
			return err
		}
	}
	link := filepath.Join(dir, "..data_tmp")
	_ = os.Remove(link)
	if err := os.Symlink(filepath.Base(version), link); err != nil {
		return err
	}
	if err := os.Rename(link, data); err != nil {
		return err
	}
	if old != "" {
		_ = os.RemoveAll(filepath.Join(dir, old))
	}
	return f.link(dir)
}

func (f volumeFiles) same(dir string) bool {
	for name, file := range f {
		if content, err := os.ReadFile(filepath.Join(dir, name)); err != nil || !bytes.Equal(content, file.content) {
			return false
		}
	}
	entries, err := os.ReadDir(dir)
	return err == nil && len(entries) == len(f.roots())
}

// roots are the names that are visible in the volume's folder.
func (f volumeFiles) roots() map[string]bool {
	roots := map[string]bool{}
	for name := range f {
		root, _, _ := strings.Cut(name, "/")
		roots[root] = true
	}
	return roots
}

func (f volumeFiles) link(dir string) error {
	roots := f.roots()
	for root := range roots {
		target := filepath.Join("..data", root)
		if present, _ := os.Readlink(filepath.Join(dir, root)); present == target {
			continue
		}
		if err := os.Symlink(target, filepath.Join(dir, root)); err != nil {
			return err
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if name := entry.Name(); !roots[name] && !strings.HasPrefix(name, "..") {
			_ = os.Remove(filepath.Join(dir, name))
		}
	}
	return nil
}
