// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/redisha/redisha/e2e/gobuild"
)

// KubernetesVersion returns the Kubernetes release that the sandbox runs, such as v1.37.2. It is empty where the
// environment variable KUBERNETES asks for one that there is not, and no sandbox starts.
func KubernetesVersion() string {
	release, _ := gobuild.Kubernetes()
	return release.Version
}

// EnvKubeBinDir names the environment variable that points at a folder with existing binaries; nothing is built then.
const EnvKubeBinDir = "KUBE_BIN_DIR"

var (
	kubeBinaries = []gobuild.Command{
		gobuild.Etcd,
		gobuild.Kube("kube-controller-manager"),
		gobuild.Kube("kube-apiserver"),
		gobuild.Kube("kube-scheduler"),
	}
	kubectlBinary = gobuild.Kube("kubectl")
)

// KubeBinaries returns the folder that holds etcd and the control plane's commands, building from Go modules those that
// are missing. A cold build takes minutes, so a line of progress is written every few seconds. Two processes
// asking at the same time build once.
func KubeBinaries(ctx context.Context, progress io.Writer) (string, error) {
	return provideBinaries(ctx, progress, kubeBinaries)
}

// Kubectl returns the path of a kubectl of the sandbox's Kubernetes version, building it when it is missing. Nothing in
// the sandbox needs it.
func Kubectl(ctx context.Context, progress io.Writer) (string, error) {
	dir, err := provideBinaries(ctx, progress, []gobuild.Command{kubectlBinary})
	return filepath.Join(dir, kubectlBinary.Name), err
}

func provideBinaries(ctx context.Context, progress io.Writer, binaries []gobuild.Command) (string, error) {
	if dir := os.Getenv(EnvKubeBinDir); dir != "" {
		if lacking := gobuild.Missing(dir, binaries); len(lacking) > 0 {
			return "", fmt.Errorf(
				"%s=%s lacks %s: put it there, or unset %s to have it built", EnvKubeBinDir, dir, lacking[0].Name, EnvKubeBinDir,
			)
		}
		return dir, nil
	}
	release, err := gobuild.Kubernetes()
	if err != nil {
		return "", err
	}
	dir, err := release.Module().Provide(ctx, progress, binaries...)
	if err != nil {
		return "", fmt.Errorf("%w (%s names a folder with existing binaries instead)", err, EnvKubeBinDir)
	}
	return dir, nil
}
