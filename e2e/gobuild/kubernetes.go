// SPDX-License-Identifier: Apache-2.0

package gobuild

import (
	"cmp"
	"fmt"
	"os"
	"strings"
)

// EnvKubernetes names the environment variable that chooses the Kubernetes of sandbox and kind nodes, such as 1.36; the
// newest that there is a module for by default.
const EnvKubernetes = "KUBERNETES"

// Release is a release of Kubernetes that can be built.
type Release struct {
	Minor   string // 1.37, the folder of its module below e2e/kubebin
	Version string // v1.37.2
}

// releases are the modules that e2e/cmd/kubebin has written, the newest first.
var releases = []Release{{"1.37", "v1.37.2"}, {"1.36", "v1.36.3"}, {"1.35", "v1.35.4"}}

// Kubernetes returns the release that the environment variable KUBERNETES chooses.
func Kubernetes() (Release, error) {
	asked := cmp.Or(strings.TrimPrefix(os.Getenv(EnvKubernetes), "v"), releases[0].Minor)
	for _, r := range releases {
		if r.Minor == asked {
			return r, nil
		}
	}
	return Release{}, fmt.Errorf("%s is %q: it can be %s", EnvKubernetes, asked, strings.Join(Minors(), ", "))
}

// Minors returns the minor releases that can be chosen, the newest first.
func Minors() []string {
	var minors []string
	for _, r := range releases {
		minors = append(minors, r.Minor)
	}
	return minors
}

// Module returns the module with the commands of Kubernetes and etcd.
func (r Release) Module() Module {
	return Module{
		Dir:   "e2e/kubebin/" + r.Minor,
		Key:   "kube-" + r.Version,
		Title: "Kubernetes " + r.Version,
		LDFlags: fmt.Sprintf(
			"-X %[1]s.gitVersion=%[3]s -X %[1]s.gitMajor=1 -X %[1]s.gitMinor=%[4]s -X %[1]s.gitTreeState=clean -X "+
				"%[2]s.gitVersion=%[3]s",
			"k8s.io/component-base/version",
			"k8s.io/client-go/pkg/version",
			r.Version,
			strings.TrimPrefix(r.Minor, "1."),
		),
	}
}

// Etcd is built from its own module, in the version that Kubernetes is built with.
var Etcd = Command{"etcd", "go.etcd.io/etcd/server/v3"}

// Kube returns a command of Kubernetes, such as kubelet.
func Kube(name string) Command { return Command{name, "k8s.io/kubernetes/cmd/" + name} }
