// SPDX-License-Identifier: Apache-2.0

package image

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
)

// Config is what containers of an image begin with.
type Config struct {
	Entrypoint []string          `json:",omitempty"`
	Cmd        []string          `json:",omitempty"`
	Env        []string          `json:",omitempty"`
	User       string            `json:",omitempty"`
	WorkingDir string            `json:",omitempty"`
	StopSignal string            `json:",omitempty"`
	Labels     map[string]string `json:",omitempty"`
}

// manifest is an entry of manifest.json in an archive as docker save writes it.
type manifest struct {
	Config   string
	RepoTags []string
	Layers   []string
}

type rootfs struct {
	Type    string   `json:"type"`
	DiffIDs []string `json:"diff_ids"`
}

type imageFile struct {
	Architecture string `json:"architecture"`
	OS           string `json:"os"`
	Created      string `json:"created"`
	Config       Config `json:"config"`
	RootFS       rootfs `json:"rootfs"`
}

// Write writes an image of these layers, the lowest first, as an archive at path. The archive appears there when it is
// whole.
func Write(path, name string, config Config, layers ...*Layer) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".image-*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	if err := write(file, name, config, layers); err != nil {
		return fmt.Errorf("image %s: %w", name, err)
	}
	if err := file.Close(); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

func write(file io.Writer, name string, config Config, layers []*Layer) error {
	archive := tar.NewWriter(file)
	described := imageFile{Architecture: runtime.GOARCH, OS: "linux", Created: epoch.UTC().Format("2006-01-02T15:04:05Z"),
		Config: config, RootFS: rootfs{Type: "layers"}}
	listed := manifest{RepoTags: []string{name}}
	for _, layer := range layers {
		digest, size, err := layer.finish()
		if err != nil {
			return err
		}
		described.RootFS.DiffIDs = append(described.RootFS.DiffIDs, "sha256:"+digest)
		listed.Layers = append(listed.Layers, digest+".tar")
		content := io.NewSectionReader(layer.file, 0, size)
		if err := entry(archive, digest+".tar", size, content); err != nil {
			return err
		}
	}
	data, err := json.Marshal(described)
	if err != nil {
		return err
	}
	listed.Config = fmt.Sprintf("%x.json", sha256.Sum256(data))
	if err := text(archive, listed.Config, data); err != nil {
		return err
	}
	data, err = json.Marshal([]manifest{listed})
	if err != nil {
		return err
	}
	if err := text(archive, "manifest.json", data); err != nil {
		return err
	}
	return archive.Close()
}

func text(archive *tar.Writer, name string, data []byte) error {
	return entry(archive, name, int64(len(data)), bytes.NewReader(data))
}

func entry(archive *tar.Writer, name string, size int64, content io.Reader) error {
	if err := archive.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: size, ModTime: epoch}); err != nil {
		return err
	}
	_, err := io.Copy(archive, content)
	return err
}
