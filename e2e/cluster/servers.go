// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"fmt"
	"io/fs"

	"github.com/redisha/redisha/e2e/image"
)

// builtServer is an image of a Redis or Valkey from Debian's packages. It is named like those that are published:
// redis-server and redis-cli are there, in Valkey's as links.
type builtServer struct {
	Server
	system debian
	links  map[string]string
}

// shell are the packages with a shell and the commands that scripts take for granted.
var shell = []string{"dash", "coreutils", "grep", "sed", "mawk", "procps", "findutils", "hostname"}

var builtServers = []builtServer{
	{Server{"Redis 7.0", "localhost/redisha/redis:7.0"},
		debian{name: "redis7", suite: "bookworm", packages: append([]string{"redis-server", "redis-tools"}, shell...)}, nil},
	{Server{"Redis 8.0", "localhost/redisha/redis:8.0"},
		debian{name: "redis8", suite: "trixie", packages: append([]string{"redis-server", "redis-tools"}, shell...)}, nil},
	{Server{"Valkey 8.1", "localhost/redisha/valkey:8.1"},
		debian{name: "valkey8", suite: "trixie", packages: append([]string{"valkey-server", "valkey-tools"}, shell...)},
		map[string]string{"redis-server": "valkey-server", "redis-cli": "valkey-cli", "redis-sentinel": "valkey-server"}},
}

// server returns the archive of a server's image. It runs as any user, and writes below /data and /tmp only.
func (b *builder) server(s builtServer) (string, error) {
	config := image.Config{Cmd: []string{"redis-server"}, WorkingDir: "/data", User: "999:999",
		Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}}
	return b.archive(s.Image, config, s.system.key()+fmt.Sprint(s.links), func(layers *layers) error {
		return layers.debian(s.system, b.dir, func(l *image.Layer) error {
			for name, target := range s.links {
				if err := l.Symlink("usr/bin/"+name, target); err != nil {
					return err
				}
			}
			return baseFiles(l)
		})
	})
}

// baseFiles adds what scripts of packages would have made, and folders that anybody may write to.
func baseFiles(l *image.Layer) error {
	for _, folder := range []string{"data", "tmp"} {
		if err := l.Dir(folder, 0o777|fs.ModeSticky); err != nil {
			return err
		}
	}
	for _, folder := range []string{"dev", "proc", "sys", "run"} {
		if err := l.Dir(folder, 0o755); err != nil {
			return err
		}
	}
	if err := l.Symlink("usr/bin/awk", "mawk"); err != nil {
		return err
	}
	if err := l.Text("etc/passwd", 0o644, "root:x:0:0::/root:/bin/sh\nredis:x:999:999::/data:/bin/sh\n"); err != nil {
		return err
	}
	return l.Text("etc/group", 0o644, "root:x:0:\nredis:x:999:\n")
}
