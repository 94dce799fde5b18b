// SPDX-License-Identifier: Apache-2.0

package gobuild

import "fmt"

// KubernetesVersion is the Kubernetes release that sandbox and kind nodes run; e2e/kubebin/go.mod pins the same.
const KubernetesVersion = "v1.34.4"

// Kubernetes is the module with the commands of Kubernetes and etcd.
var Kubernetes = Module{
	Dir:   "e2e/kubebin",
	Key:   "kube-" + KubernetesVersion,
	Title: "Kubernetes " + KubernetesVersion,
	LDFlags: fmt.Sprintf(
		"-X %[1]s.gitVersion=%[3]s -X %[1]s.gitMajor=1 -X %[1]s.gitMinor=34 -X %[1]s.gitTreeState=clean -X "+
			"%[2]s.gitVersion=%[3]s",
		"k8s.io/component-base/version",
		"k8s.io/client-go/pkg/version",
		KubernetesVersion,
	),
}

// Etcd is built from its own module, in the version that Kubernetes is built with.
var Etcd = Command{"etcd", "go.etcd.io/etcd/server/v3"}

// Kube returns a command of Kubernetes, such as kubelet.
func Kube(name string) Command { return Command{name, "k8s.io/kubernetes/cmd/" + name} }
