// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// containerSpec is what the helper needs to know to become a container's process.
type containerSpec struct {
	Hostname     string
	Root         string // an empty folder to mount the root file system on
	ReadOnlyRoot bool
	Files        map[string]string // files to write below the root, by absolute path
	Mounts       []bindMount       // after the image's own file system, in order
	Args         []string
	Env          []string
	Dir          string
}

type bindMount struct {
	Source, Target string
	ReadOnly       bool
}

// hostFolders is the part of the machine that every image consists of.
var hostFolders = []string{
	"/usr",
	"/bin",
	"/sbin",
	"/lib",
	"/lib32",
	"/lib64",
	"/libx32",
	"/nix",
	"/etc/alternatives",
	"/etc/ssl",
	"/etc/pki",
}

// enterRoot builds the container's root file system in the mount namespace made for it and makes it the root. A tmpfs
// is the writable layer; it goes when the container's processes do, as the layer of a container would.
func (s *containerSpec) enterRoot() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if err := unix.Mount("tmpfs", s.Root, "tmpfs", unix.MS_NODEV, "mode=0755"); err != nil {
		return fmt.Errorf("mount root: %w", err)
	}
	steps := []func() error{s.mountHost, s.writeFiles, s.mountProc, s.mountDev, s.mountVolumes, s.lockRoot, s.pivot}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

func (s *containerSpec) path(name string) string { return filepath.Join(s.Root, name) }

func (s *containerSpec) mountHost() error {
	for _, dir := range []string{
		"etc", "proc", "dev", "sys", "run", "root", "home", "var/run", "var/lib", "var/log", "data", s.Dir,
	} {
		if err := os.MkdirAll(s.path(dir), 0o755); err != nil {
			return err
		}
	}
	for _, dir := range []string{"tmp", "var/tmp"} {
		if err := os.MkdirAll(s.path(dir), 0o777); err != nil {
			return err
		}
	}
	for _, folder := range hostFolders {
		if err := s.mountFolder(folder); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// mountFolder makes a folder of the machine visible, or repeats the link that it is where /usr is merged.
func (s *containerSpec) mountFolder(folder string) error {
	info, err := os.Lstat(folder)
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSymlink == 0 {
		return s.bind(bindMount{folder, folder, true})
	}
	target, err := os.Readlink(folder)
	if err != nil {
		return err
	}
	return os.Symlink(target, s.path(folder))
}

func (s *containerSpec) writeFiles() error {
	for name, content := range s.Files {
		if err := os.MkdirAll(filepath.Dir(s.path(name)), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(s.path(name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	cache, err := os.ReadFile("/etc/ld.so.cache")
	if err != nil {
		return nil //nolint:nilerr // the dynamic linker does without, more slowly
	}
	return os.WriteFile(s.path("/etc/ld.so.cache"), cache, 0o644)
}

func (s *containerSpec) mountProc() error {
	err := unix.Mount("proc", s.path("/proc"), "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	if err != nil { // where /proc is masked the kernel refuses a fresh one
		err = unix.Mount("/proc", s.path("/proc"), "", unix.MS_BIND|unix.MS_REC, "")
	}
	if err != nil {
		return fmt.Errorf("mount /proc: %w", err)
	}
	return nil
}

func (s *containerSpec) mountDev() error {
	for _, device := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		target := s.path("/dev/" + device)
		if err := os.WriteFile(target, nil, 0o666); err != nil {
			return err
		}
		if err := unix.Mount("/dev/"+device, target, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount /dev/%s: %w", device, err)
		}
	}
	for name, target := range map[string]string{
		"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1",
		"stderr": "/proc/self/fd/2",
	} {
		if err := os.Symlink(target, s.path("/dev/"+name)); err != nil {
			return err
		}
	}
	shm := s.path("/dev/shm")
	if err := os.Mkdir(shm, 0o777); err != nil {
		return err
	}
	return unix.Mount("tmpfs", shm, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777")
}

func (s *containerSpec) mountVolumes() error {
	for _, m := range s.Mounts {
		if err := s.bind(m); err != nil {
			return err
		}
	}
	return nil
}

func (s *containerSpec) bind(m bindMount) error {
	info, err := os.Stat(m.Source)
	if err != nil {
		return err
	}
	target := s.path(m.Target)
	if info.IsDir() {
		err = os.MkdirAll(target, 0o755)
	} else if err = os.MkdirAll(filepath.Dir(target), 0o755); err == nil {
		var f *os.File
		if f, err = os.OpenFile(target, os.O_CREATE|os.O_RDONLY, 0o644); err == nil {
			f.Close()
		}
	}
	if err != nil {
		return err
	}
	if err := unix.Mount(m.Source, target, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return fmt.Errorf("mount %s: %w", m.Target, err)
	}
	if !m.ReadOnly {
		return nil
	}
	return remountReadOnly(target)
}

func remountReadOnly(target string) error {
	// Flags that the mount had in the machine's namespace are locked and must be repeated.
	var stat unix.Statfs_t
	if err := unix.Statfs(target, &stat); err != nil {
		return fmt.Errorf("statfs %s: %w", target, err)
	}
	const kept = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC | unix.MS_NOATIME | unix.MS_NODIRATIME | unix.MS_RELATIME
	flags := uintptr(stat.Flags)&kept | unix.MS_BIND | unix.MS_REMOUNT | unix.MS_RDONLY
	if err := unix.Mount("", target, "", flags, ""); err != nil {
		return fmt.Errorf("make %s read-only: %w", target, err)
	}
	return nil
}

func (s *containerSpec) lockRoot() error {
	if !s.ReadOnlyRoot {
		return nil
	}
	return remountReadOnly(s.Root)
}

func (s *containerSpec) pivot() error {
	if err := os.Chdir(s.Root); err != nil {
		return err
	}
	// The new root on top of itself hides the old one, which is then detached; no folder for the old root is needed.
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("pivot root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("detach the machine's root: %w", err)
	}
	return os.Chdir("/")
}
