// SPDX-License-Identifier: Apache-2.0

// Package image writes container images as archives that docker load and ctr images import read. No container engine
// takes part, and the same input gives the same bytes.
package image

import (
	"archive/tar"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// epoch dates everything that has no date of its own.
var epoch = time.Unix(0, 0)

// Layer collects files into a layer of an image.
type Layer struct {
	file *os.File
	hash hash.Hash
	tar  *tar.Writer
	dirs map[string]bool // of what is there, whether it leads to a folder
}

// NewLayer begins a layer in a temporary file in folder dir.
func NewLayer(dir string) (*Layer, error) {
	file, err := os.CreateTemp(dir, ".layer-*")
	if err != nil {
		return nil, err
	}
	l := &Layer{file: file, hash: sha256.New(), dirs: map[string]bool{}}
	l.tar = tar.NewWriter(io.MultiWriter(file, l.hash))
	return l, nil
}

// Remove removes the layer's temporary file.
func (l *Layer) Remove() {
	l.file.Close()
	_ = os.Remove(l.file.Name())
}

// Dir adds a folder. Missing folders above anything that is added come by themselves.
func (l *Layer) Dir(name string, mode fs.FileMode) error {
	return l.header(&tar.Header{Typeflag: tar.TypeDir, Name: name, Mode: tarMode(mode)})
}

// Text adds a file with this content.
func (l *Layer) Text(name string, mode fs.FileMode, content string) error {
	if err := l.header(
		&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: tarMode(mode), Size: int64(len(content))},
	); err != nil {
		return err
	}
	_, err := io.WriteString(l.tar, content)
	return err
}

// Symlink adds a symbolic link.
func (l *Layer) Symlink(name, target string) error {
	return l.header(&tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777})
}

// File adds a copy of a file of this machine.
func (l *Layer) File(name string, mode fs.FileMode, source string) error {
	f, err := os.Open(source)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := l.header(
		&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: tarMode(mode), Size: info.Size()},
	); err != nil {
		return err
	}
	_, err = io.Copy(l.tar, f)
	return err
}

// Tree adds the files below a folder of this machine. Mode tells each file's, by its name in the image; without one it
// is left out.
func (l *Layer) Tree(name, source string, mode func(name string) fs.FileMode) error {
	return filepath.WalkDir(source, func(file string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		below, err := filepath.Rel(source, file)
		if err != nil {
			return err
		}
		target := path.Join(name, filepath.ToSlash(below))
		if mode(target) == 0 {
			return nil
		}
		return l.File(target, mode(target), file)
	})
}

// Tar adds what a tar archive holds, but for the names that leave says.
func (l *Layer) Tar(r io.Reader, leave func(name string) bool) error {
	reader := tar.NewReader(r)
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if name := clean(header.Name); name == "" || leave(name) {
			continue
		}
		if header.Typeflag == tar.TypeLink {
			header.Linkname = clean(header.Linkname)
		}
		if err := l.header(header); err != nil {
			return err
		}
		if _, err := io.Copy(l.tar, reader); err != nil {
			return err
		}
	}
}

// header writes a header under a clean name, after those of the folders above it that have not been written. Docker
// refuses a layer that has a name twice, so a folder that is there is not added again, and a file is an error.
func (l *Layer) header(h *tar.Header) error {
	name := clean(h.Name)
	if _, there := l.dirs[name]; there {
		if h.Typeflag == tar.TypeDir && l.dirs[name] {
			return nil
		}
		return fmt.Errorf("%s is added twice", name)
	}
	if above := path.Dir(name); above != "." {
		if err := l.Dir(above, 0o755); err != nil {
			return err
		}
	}
	// A link may lead to a folder, as /bin does to /usr/bin.
	l.dirs[name] = h.Typeflag == tar.TypeDir || h.Typeflag == tar.TypeSymlink
	h.Name = name
	if h.Typeflag == tar.TypeDir {
		h.Name += "/"
	}
	h.ModTime, h.AccessTime, h.ChangeTime, h.Format = epoch, time.Time{}, time.Time{}, tar.FormatPAX
	h.Uname, h.Gname = "", ""
	return l.tar.WriteHeader(h)
}

func clean(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

func tarMode(mode fs.FileMode) int64 {
	bits := int64(mode.Perm())
	if mode&fs.ModeSticky != 0 {
		bits |= 0o1000
	}
	return bits
}

// finish ends the layer and returns its digest and size.
func (l *Layer) finish() (digest string, size int64, err error) {
	if err := l.tar.Close(); err != nil {
		return "", 0, err
	}
	size, err = l.file.Seek(0, io.SeekEnd)
	return fmt.Sprintf("%x", l.hash.Sum(nil)), size, err
}
