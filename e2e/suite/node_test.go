package suite

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"

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
		return output.String(), fmt.Errorf("docker %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(problems.String()))
	}
	return output.String(), nil
}

// kubectl runs the kubectl that is on every kind node, as the cluster's administrator.
func (p *playground) kubectl(ctx context.Context, input io.Reader, args ...string) string {
	GinkgoHelper()
	command := []string{"exec", "-i", cluster.ControlPlane, "kubectl", "--kubeconfig=/etc/kubernetes/admin.conf"}
	output, err := docker(ctx, input, append(command, args...)...)
	Expect(err).NotTo(HaveOccurred())
	return output
}

// pidScript prints the pids, on the node, of the processes of a pod that have one of the names. A process belongs to a pod if its
// control group has the pod's UID in its path, written with - or _ as the kubelet's driver will have it.
const pidScript = `
found=
for p in /proc/[0-9]*; do
	read -r name <"$p/comm" || continue
	case " $2 " in *" $name "*) ;; *) continue ;; esac
	grep -q "$1" "$p/cgroup" || continue
	found="$found ${p#/proc/}"
done 2>/dev/null
test -n "$found" && echo $found`

// signalScript sends a signal to them.
const signalScript = `signal=$1
shift
pids=$(` + pidScript + `) && kill "-$signal" $pids`

// Names of processes.
const (
	redisProcess    = "redis-server valkey-server"
	operatorProcess = "manager"
)

// signal sends a signal to the pod's process, on its node, so that neither Kubernetes nor the pod is asked.
func signal(ctx context.Context, pod *corev1.Pod, process, name string) {
	GinkgoHelper()
	uid := strings.ReplaceAll(string(pod.UID), "-", "[-_]")
	_, err := onNode(ctx, pod.Spec.NodeName, signalScript, name, uid, process)
	Expect(err).NotTo(HaveOccurred(), "SIG%s for %s in pod %s", name, process, pod.Name)
}

// armed prepares a SIGKILL for the pod's process, and returns what fires it. To look for the process takes longer than a
// failover; to kill it when it is known does not.
func armed(ctx context.Context, pod *corev1.Pod, process string) (fire func()) {
	GinkgoHelper()
	uid := strings.ReplaceAll(string(pod.UID), "-", "[-_]")
	pid, err := onNode(ctx, pod.Spec.NodeName, pidScript, uid, process)
	Expect(err).NotTo(HaveOccurred())
	cmd := exec.CommandContext(ctx, "docker", "exec", "-i", pod.Spec.NodeName, "sh", "-c", "echo armed; read -r go && kill -KILL "+strings.TrimSpace(pid))
	trigger, err := cmd.StdinPipe()
	Expect(err).NotTo(HaveOccurred())
	output, err := cmd.StdoutPipe()
	Expect(err).NotTo(HaveOccurred())
	Expect(cmd.Start()).To(Succeed())
	_, err = bufio.NewReader(output).ReadString('\n')
	Expect(err).NotTo(HaveOccurred())
	return func() {
		GinkgoHelper()
		_, err := io.WriteString(trigger, "go\n")
		Expect(err).NotTo(HaveOccurred())
		Expect(cmd.Wait()).To(Succeed())
	}
}
