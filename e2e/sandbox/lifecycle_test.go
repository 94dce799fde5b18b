// SPDX-License-Identifier: Apache-2.0

package sandbox_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/redisha/redisha/e2e/sandbox"
)

const (
	envSleeper  = "SANDBOX_TEST_SLEEPER"
	withCluster = "cluster" // among its values
)

// sleeper is what the tests of Enter run: it has processes of several kinds below it and waits to be ended.
func sleeper() int {
	if err := exec.Command("setsid", "--fork", "sleep", "1000").Run(); err != nil {
		return 1
	}
	if err := exec.Command("sleep", "1000").Start(); err != nil {
		return 1
	}
	if os.Getenv(envSleeper) == withCluster {
		if err := startTwice(context.Background()); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	fmt.Println("ready")
	time.Sleep(1000 * time.Second)
	return 0
}

// startTwice leaves the second of two sandboxes running, with a pod.
func startTwice(ctx context.Context) error {
	first, err := sandbox.Start(ctx, sandbox.Options{Nodes: 1})
	if err != nil {
		return err
	}
	first.Stop()
	second, err := sandbox.Start(ctx, sandbox.Options{Nodes: 1})
	if err != nil {
		return err
	}
	// Redis overwrites the environment that it was started with, sleep keeps it.
	pod := strings.NewReplacer("    readinessProbe:", "    env: [{name: "+envSleeper+", value: "+withCluster+"}]\n    readinessProbe:",
		redisCommand, "[sleep, '1000']").
		Replace(redisPod("one"))
	if err := second.Apply(ctx, []byte(pod)); err != nil {
		return err
	}
	return sandbox.WaitFor(
		ctx,
		"the pod to run",
		func(context.Context) (bool, error) { return second.Signal("default", "one", "redis", 0) == nil, nil },
	)
}

// marked returns the processes whose environment has the mark, however deep they are.
func marked(mark string) []string {
	var found []string
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range files {
		if content, err := os.ReadFile(file); err == nil && strings.Contains(string(content), envSleeper+"="+mark) {
			found = append(found, filepath.Dir(file))
		}
	}
	return found
}

func TestNothingIsLeftWhenTheOuterProcessEnds(t *testing.T) {
	for _, c := range []struct {
		mark      string
		signal    syscall.Signal
		processes int // at least: the outer one, PID 1 of the namespace, the program, its two children; three of the control plane and the pod's
	}{
		{"terminated", syscall.SIGTERM, 5},
		{"killed", syscall.SIGKILL, 5},
		{withCluster, syscall.SIGKILL, 9},
	} {
		t.Run(c.mark, func(t *testing.T) {
			folder := t.TempDir()
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), envSleeper+"="+c.mark, "REDISHA_SANDBOX_STAGE=", "TMPDIR="+folder)
			cmd.Stderr = os.Stderr
			output, err := cmd.StdoutPipe()
			check(t, err)
			check(t, cmd.Start())
			line, err := bufio.NewReader(output).ReadString('\n')
			if err != nil || line != "ready\n" {
				t.Fatalf("the program inside said %q, %v", line, err)
			}
			running := fmt.Sprintf("%d processes to run", c.processes)
			check(
				t,
				sandbox.WaitFor(
					within(t),
					running,
					func(context.Context) (bool, error) { return len(marked(c.mark)) >= c.processes, nil },
				),
			)
			check(t, cmd.Process.Signal(c.signal))
			_ = cmd.Wait()
			check(
				t,
				sandbox.WaitFor(
					within(t),
					"every process to end",
					func(context.Context) (bool, error) { return len(marked(c.mark)) == 0, nil },
				),
			)
			if left, _ := os.ReadDir(folder); c.signal != syscall.SIGKILL && len(left) > 0 {
				t.Errorf("left in the folder for temporary files: %v", left)
			}
		})
	}
}

func TestPodsOutliveTheAPIServer(t *testing.T) {
	namespace := newNamespace(t)
	apply(t, namespace, redisPod("steady"))
	pod := ready(t, namespace, "steady")
	host := newHost(t)
	conn, err := dial(t, host, pod.Status.PodIP+":6379", 5*time.Second)
	check(t, err)
	check(t, shared.StopAPIServer(within(t)))
	if _, err := dial(t, host, shared.APIServerAddr().String()+":6443", 5*time.Second); err == nil {
		t.Error("the API server still listens")
	}
	if got, err := say(conn, "PING", 5*time.Second); got != "+PONG" {
		t.Errorf("PING without an API server: %q, %v", got, err)
	}
	check(t, shared.Signal(namespace, "steady", "redis", syscall.SIGKILL)) // restarts without being told to
	if got := ask(t, host, pod.Status.PodIP+":6379", "PING"); got != "+PONG" {
		t.Errorf("PING after a restart without an API server: %q", got)
	}
	check(t, shared.StartAPIServer(within(t)))
	waitPod(t, namespace, "steady", "reported as restarted", func(pod *corev1.Pod) bool {
		return isReady(pod) && pod.Status.ContainerStatuses[0].RestartCount == 1
	})
}

func TestAuditNamesTheWritesOfAUser(t *testing.T) {
	config, err := shared.Config(sandbox.OperatorUser)
	check(t, err)
	operator := kubernetes.NewForConfigOrDie(config)
	namespace := newNamespace(t)
	apply(t, namespace, `
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: operator}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}
subjects: [{kind: ServiceAccount, name: redisha-controller-manager, namespace: redisha-system}]
`)
	check(t, sandbox.WaitFor(within(t), "the role binding to apply", func(ctx context.Context) (bool, error) {
		_, err := operator.CoreV1().ConfigMaps(namespace).List(ctx, metav1.ListOptions{})
		return err == nil, nil
	}))
	written := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "written"}}
	_, err = operator.CoreV1().ConfigMaps(namespace).Create(within(t), written, metav1.CreateOptions{})
	check(t, err)
	if _, err := operator.CoreV1().Nodes().List(within(t), metav1.ListOptions{}); err == nil {
		t.Error("a user with a role in a namespace may list nodes: RBAC is not in force")
	}
	writes, err := shared.AuditWrites(sandbox.OperatorUser)
	check(t, err)
	if len(writes) != 1 || writes[0].Verb != "create" || writes[0].Resource != "configmaps" ||
		writes[0].Name != "written" ||
		writes[0].Code != 201 {
		t.Errorf("writes: %v, want the one create", writes)
	}
}
