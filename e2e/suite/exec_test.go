// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"bytes"
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"

	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/redisclient"
)

// cliScript runs redis-cli, or what Valkey has in its place, with the password of the pod.
const cliScript = `
REDISCLI_AUTH=$(cat /etc/redisha-auth/password)
VALKEYCLI_AUTH=$REDISCLI_AUTH
export REDISCLI_AUTH VALKEYCLI_AUTH
cli=redis-cli
command -v redis-cli >/dev/null 2>&1 || cli=valkey-cli
exec timeout 3 "$cli" "$@"`

// redis sends a command to the pod's Redis and returns what redis-cli prints.
func (p *environment) redis(ctx context.Context, pod *corev1.Pod, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return p.exec(ctx, pod, append([]string{"sh", "-c", cliScript, "sh"}, args...))
}

// info is what the pod's Redis says of itself.
func (p *environment) info(ctx context.Context, pod *corev1.Pod) (redisclient.Info, error) {
	text, err := p.redis(ctx, pod, "info")
	if err != nil {
		return redisclient.Info{}, err
	}
	return redisclient.ParseInfo(text)
}

func (p *environment) exec(ctx context.Context, pod *corev1.Pod, command []string) (string, error) {
	request := p.kube.CoreV1().
		RESTClient().
		Post().
		Resource("pods").
		Namespace(pod.Namespace).
		Name(pod.Name).
		SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Container: resources.RedisContainer, Command: command, Stdout: true, Stderr: true},
			scheme.ParameterCodec)
	executor, err := remotecommand.NewWebSocketExecutor(p.config, "GET", request.URL().String())
	if err != nil {
		return "", err
	}
	var output, problems bytes.Buffer
	if err := executor.StreamWithContext(
		ctx, remotecommand.StreamOptions{Stdout: &output, Stderr: &problems},
	); err != nil {
		return "", fmt.Errorf("in pod %s: %w: %s", pod.Name, err, problems.String())
	}
	return output.String(), nil
}
