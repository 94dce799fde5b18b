// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// packageOf tells which of Debian's packages has a command.
var packageOf = map[string]string{
	"dockerd":    "docker.io",
	"docker":     "docker-cli", // in Debian 12 a part of docker.io
	"runc":       "runc",
	"iptables":   "iptables",
	"mmdebstrap": "mmdebstrap",
}

func onDebian() bool {
	text, err := os.ReadFile("/etc/os-release")
	return err == nil && strings.Contains("\n"+string(text), "\nID=debian\n")
}

// install installs the packages of those commands that are missing.
func install(ctx context.Context, log *steps, commands ...string) error {
	var packages []string
	for _, command := range commands {
		if _, err := exec.LookPath(command); err != nil {
			packages = append(packages, packageOf[command])
		}
	}
	if len(packages) == 0 {
		return nil
	}
	list := strings.Join(packages, ", ")
	if os.Geteuid() != 0 || !onDebian() {
		return fmt.Errorf(
			"missing: %s: install what your system calls that; only on Debian and as root is it done here", list,
		)
	}
	return log.step("installing Debian's packages "+list, func() error {
		// At run level 1 no package starts a daemon of its own.
		environment := []string{"DEBIAN_FRONTEND=noninteractive", "RUNLEVEL=1"}
		if _, err := runWith(ctx, nil, environment, "apt-get", "update", "-qq"); err != nil {
			return err
		}
		_, err := runWith(
			ctx,
			nil,
			environment,
			"apt-get",
			append([]string{"install", "-y", "-qq", "--no-install-recommends"}, packages...)...)
		return err
	})
}

// debian is a file system of Debian's packages.
type debian struct {
	name     string
	suite    string
	packages []string
	// system is set for one that is booted: essential packages too, and all of them configured. Otherwise packages are
	// only unpacked, with those they depend on.
	system bool
}

// debianMade is raised when file systems have to be made anew.
const debianMade = "1"

func (d debian) key() string {
	h := sha256.Sum256(fmt.Append(nil, debianMade, d.suite, d.packages, d.system))
	return fmt.Sprintf("%x", h[:6])
}

func (d debian) file(dir string) string {
	return filepath.Join(dir, "debian-"+d.name+"-"+d.key()+".tar")
}

// provide sees to it that the file system is in the cache, as an archive.
func (d debian) provide(ctx context.Context, log *steps, dir string) error {
	if _, err := os.Stat(d.file(dir)); err == nil {
		return nil
	}
	if os.Geteuid() != 0 {
		return errors.New(
			"building images takes root: run this as root, or with " + EnvImages + "=pull where a registry is in reach",
		)
	}
	temporary := filepath.Join(dir, ".debian-"+d.name+".tar")
	defer os.Remove(temporary)
	args := []string{"--quiet", "--mode=root", "--format=tar", "--include=" + strings.Join(d.packages, ","),
		"--aptopt=Acquire::Languages none", "--aptopt=Acquire::Retries 3"}
	if d.system {
		args = append(args, "--variant=minbase")
	} else {
		args = append(args, "--variant=extract", "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr")
	}
	err := log.step("Debian "+d.suite+" for "+d.name, func() error {
		_, err := run(ctx, "mmdebstrap", append(args, d.suite, temporary)...)
		return err
	})
	if err != nil {
		return err
	}
	removeOthers(dir, "debian-"+d.name+"-*.tar", "")
	return os.Rename(temporary, d.file(dir))
}

// removeOthers removes older files of a kind from the cache.
func removeOthers(dir, pattern, except string) {
	files, _ := filepath.Glob(filepath.Join(dir, pattern))
	for _, file := range files {
		if file != except {
			_ = os.Remove(file)
		}
	}
}
