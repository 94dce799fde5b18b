// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
)

// describe turns a container of the API into what the helper needs.
func (w *worker) describe(c *corev1.Container, image Image) (*containerSpec, error) {
	environment, err := w.environment(c)
	if err != nil {
		return nil, err
	}
	lookUp := func(name string) (string, bool) {
		for _, kv := range environment {
			if value, ok := strings.CutPrefix(kv, name+"="); ok {
				return value, true
			}
		}
		return "", false
	}
	command, args := c.Command, c.Args
	if len(command) == 0 { // the rules of ENTRYPOINT and CMD
		command = image.Entrypoint
		if len(args) == 0 {
			args = image.Cmd
		}
	}
	argv := make([]string, 0, len(command)+len(args))
	for _, word := range slices.Concat(command, args) {
		argv = append(argv, expand(word, lookUp))
	}
	if len(argv) == 0 {
		return nil, fmt.Errorf("no command specified")
	}
	mounts, err := w.mounts(c, image)
	if err != nil {
		return nil, err
	}
	root := filepath.Join(w.dir(), "root")
	if err := os.MkdirAll(root, 0o755); err != nil {
		return nil, err
	}
	security := ptr.Deref(c.SecurityContext, corev1.SecurityContext{})
	dir := c.WorkingDir
	if dir == "" {
		dir = "/"
	}
	return &containerSpec{
		Hostname: hostname(w.key.Name), Root: root, ReadOnlyRoot: ptr.Deref(security.ReadOnlyRootFilesystem, false),
		Files: w.files(), Mounts: mounts, Args: argv, Env: environment, Dir: dir,
	}, nil
}

// hostname cuts a pod's name to what the kernel takes.
func hostname(name string) string { return name[:min(len(name), 63)] }

func (w *worker) files() map[string]string {
	return map[string]string{
		"/etc/passwd": "root:x:0:0:root:/root:/bin/sh\nredis:x:999:999::/data:/bin/sh\n" +
			"nobody:x:65534:65534::/:/bin/false\n",
		"/etc/group":         "root:x:0:\nredis:x:999:\nnogroup:x:65534:\n",
		"/etc/hostname":      w.key.Name + "\n",
		"/etc/hosts":         fmt.Sprintf("127.0.0.1\tlocalhost\n::1\tlocalhost\n%s\t%s\n", w.addr(), w.key.Name),
		"/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
		"/etc/resolv.conf":   "",
	}
}

func (w *worker) mounts(c *corev1.Container, image Image) ([]bindMount, error) {
	var mounts []bindMount
	for target, source := range image.Files {
		mounts = append(mounts, bindMount{source, target, true})
	}
	volumes := map[string]corev1.Volume{}
	for _, v := range w.latest().Spec.Volumes {
		volumes[v.Name] = v
	}
	for _, m := range c.VolumeMounts {
		volume := volumes[m.Name]
		source, err := w.volumePath(&volume)
		if err != nil {
			return nil, err
		}
		if m.SubPath != "" {
			source = filepath.Join(source, filepath.Clean("/"+m.SubPath))
			if _, err := os.Stat(source); os.IsNotExist(err) { // kubelets make a folder of it
				if err := os.MkdirAll(source, 0o755); err != nil {
					return nil, err
				}
			}
		}
		mounts = append(mounts, bindMount{source, m.MountPath, m.ReadOnly || readOnlyVolume(&volume)})
	}
	// A mount may be inside another's.
	slices.SortStableFunc(mounts, func(a, b bindMount) int { return strings.Compare(a.Target, b.Target) })
	return mounts, nil
}

func readOnlyVolume(v *corev1.Volume) bool {
	return v.ConfigMap != nil || v.Secret != nil || v.Projected != nil || v.DownwardAPI != nil
}
