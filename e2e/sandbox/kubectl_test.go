// SPDX-License-Identifier: Apache-2.0

package sandbox_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
	"k8s.io/client-go/util/exec"
)

func TestLogsAndExecWorkThroughTheAPI(t *testing.T) {
	namespace := newNamespace(t)
	apply(t, namespace, redisPod("talker"))
	ready(t, namespace, "talker")
	lines := int64(1)
	log, err := client.CoreV1().
		Pods(namespace).
		GetLogs("talker", &corev1.PodLogOptions{TailLines: &lines}).
		DoRaw(within(t))
	if err != nil || !strings.Contains(string(log), "Ready to accept connections") || bytes.Count(log, []byte("\n")) != 1 {
		t.Errorf("the last line of the log: %q, %v", log, err)
	}
	for _, c := range []struct {
		name, script, input, output string
		tty                         bool
		code                        int
	}{
		{"streams", "cat; echo done", "hello\n", "hello\ndone\n", false, 0},
		{"exit code", "exit 7", "", "", false, 7},
		{"terminal", "test -t 0 && test -t 1 && echo terminal", "", "terminal\r\n", true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			request := client.CoreV1().
				RESTClient().
				Post().
				Namespace(namespace).
				Resource("pods").
				Name("talker").
				SubResource("exec").
				VersionedParams(&corev1.PodExecOptions{Command: []string{"sh", "-c", c.script}, Stdin: true, Stdout: true, TTY: c.tty}, scheme.ParameterCodec)
			executor, err := remotecommand.NewWebSocketExecutor(shared.AdminConfig(), "GET", request.URL().String())
			check(t, err)
			var output bytes.Buffer
			options := remotecommand.StreamOptions{Stdin: strings.NewReader(c.input), Stdout: &output, Tty: c.tty}
			if c.tty { // an end of input is not what this is about
				reader, writer := io.Pipe()
				defer writer.Close()
				options.Stdin = reader
			}
			err = executor.StreamWithContext(within(t), options)
			var exit exec.CodeExitError
			if errors.As(err, &exit) {
				err = nil
			}
			if err != nil || exit.Code != c.code || output.String() != c.output {
				t.Errorf("%q: exit code %d, %v; want %q, exit code %d", output.String(), exit.Code, err, c.output, c.code)
			}
		})
	}
}
