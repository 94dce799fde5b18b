// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/redisha/redisha/e2e/cluster"
)

// onNode runs a shell script in a node's container. The error has what it wrote.
func onNode(ctx context.Context, node, script string, args ...string) (string, error) {
	return docker(ctx, nil, append([]string{"exec", node, "sh", "-c", script, "sh"}, args...)...)
}

func docker(ctx context.Context, input io.Reader, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "docker", args...)
	var output, problems bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = input, &output, &problems
	if err := cmd.Run(); err != nil {
		return output.String(), fmt.Errorf(
			"docker %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(problems.String()),
		)
	}
	return output.String(), nil
}

// kubectl runs the kubectl that is on every kind node, as the cluster's administrator.
func (p *environment) kubectl(ctx context.Context, input io.Reader, args ...string) string {
	GinkgoHelper()
	command := []string{"exec", "-i", cluster.ControlPlane, "kubectl", "--kubeconfig=/etc/kubernetes/admin.conf"}
	output, err := docker(ctx, input, append(command, args...)...)
	Expect(err).NotTo(HaveOccurred())
	return output
}

// pidScript prints the pids, on the node, of the processes of a pod that have one of the names. A process belongs to a
// pod if its control group has the pod's UID in its path, written with - or _ as the kubelet's driver will have it.
const pidScript = `
found=
for p in /proc/[0-9]*; do
	read -r name <"$p/comm" || continue
	case " $2 " in *" $name "*) ;; *) continue ;; esac
	! grep -q -e --include "$p/cmdline" || continue # a spare one, which waits
	grep -q "$1" "$p/cgroup" || continue
	found="$found ${p#/proc/}"
done 2>/dev/null
test -n "$found" && echo $found`

// Names of processes.
const (
	redisProcess    = "redis-server valkey-server"
	operatorProcess = "manager"
)

// pids are the ids of the pod's processes of that name on its node, separated by spaces.
func pids(ctx context.Context, pod *corev1.Pod, process string) string {
	GinkgoHelper()
	found, err := onNode(ctx, pod.Spec.NodeName, pidScript, uidPattern(pod), process)
	Expect(err).NotTo(HaveOccurred(), "%s in pod %s", process, pod.Name)
	return strings.TrimSpace(found)
}

func uidPattern(pod *corev1.Pod) string { return strings.ReplaceAll(string(pod.UID), "-", "[-_]") }

// signal sends a signal to the pod's process, on its node, so that neither Kubernetes nor the pod is asked.
func signal(ctx context.Context, pod *corev1.Pod, process, name string) {
	GinkgoHelper()
	send := armed(ctx, pod.Spec.NodeName, name, pids(ctx, pod, process))
	Expect(send()).To(Succeed(), "SIG%s for %s in pod %s", name, process, pod.Name)
}

// armedScript sends a signal to processes when it reads a line, says so or why not, and lingers until it can read no
// more.
const armedScript = `signal=$1
shift
echo armed
read -r go || exit 0
kill "-$signal" $* 2>&1 && echo sent
read -r end
exit 0`

// armed prepares a signal for processes on a node, and returns what sends it. To look for a process, and to begin and
// end a command in a node, takes longer than a failover and processor time that the failover needs, so none of it is
// done meanwhile.
func armed(ctx context.Context, node, name string, pids ...string) (send func() error) {
	GinkgoHelper()
	cmd := exec.CommandContext(
		context.WithoutCancel(ctx),
		"docker",
		append([]string{"exec", "-i", node, "sh", "-c", armedScript, "sh", name}, pids...)...)
	cmd.Stderr = GinkgoWriter
	input, err := cmd.StdinPipe()
	Expect(err).NotTo(HaveOccurred())
	output, err := cmd.StdoutPipe()
	Expect(err).NotTo(HaveOccurred())
	Expect(cmd.Start()).To(Succeed())
	DeferCleanup(func() error {
		if err := input.Close(); err != nil {
			return err
		}
		return cmd.Wait()
	})
	says := bufio.NewReader(output)
	Expect(says.ReadString('\n')).To(Equal("armed\n"))
	return func() error {
		if _, err := io.WriteString(input, "go\n"); err != nil {
			return err
		}
		if answer, err := says.ReadString('\n'); err != nil || answer != "sent\n" {
			return errors.Join(fmt.Errorf("SIG%s was not sent on %s: %s", name, node, strings.TrimSpace(answer)), err)
		}
		return nil
	}
}

// forwardScript adds rules to what a node forwards to and from its pods, or removes them (-I or -D, then the rules).
const forwardScript = `what=$1
shift
for rule; do
	iptables "$what" FORWARD $rule -j DROP || exit 1
done`

// drop has a node forward no packet to or from its pods that one of the rules speaks of, and returns what ends that.
func drop(ctx context.Context, node string, rules ...string) (heal func()) {
	GinkgoHelper()
	heal = sync.OnceFunc(func() {
		_, err := onNode(context.WithoutCancel(ctx), node, forwardScript, append([]string{"-D"}, rules...)...)
		Expect(err).NotTo(HaveOccurred())
	})
	DeferCleanup(func() { heal() })
	_, err := onNode(ctx, node, forwardScript, append([]string{"-I"}, rules...)...)
	Expect(err).NotTo(HaveOccurred())
	return heal
}
