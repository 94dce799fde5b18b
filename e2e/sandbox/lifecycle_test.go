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

const envSleeper = "SANDBOX_TEST_SLEEPER"

// sleeper is what the tests of Enter run: it has processes of several kinds below it and waits to be ended.
func sleeper() int {
	if err := exec.Command("setsid", "--fork", "sleep", "1000").Run(); err != nil {
		return 1
	}
	if err := exec.Command("sleep", "1000").Start(); err != nil {
		return 1
	}
	fmt.Println("ready")
	time.Sleep(1000 * time.Second)
	return 0
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
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			mark, folder := fmt.Sprintf("mark-%d", signal), t.TempDir()
			cmd := exec.Command(os.Args[0])
			cmd.Env = append(os.Environ(), envSleeper+"="+mark, "REDISHA_SANDBOX_STAGE=", "TMPDIR="+folder)
			cmd.Stderr = os.Stderr
			output, err := cmd.StdoutPipe()
			check(t, err)
			check(t, cmd.Start())
			line, err := bufio.NewReader(output).ReadString('\n')
			if err != nil || line != "ready\n" {
				t.Fatalf("the program inside said %q, %v", line, err)
			}
			// The outer process, PID 1 of the namespace, the program, and its two children.
			if n := len(marked(mark)); n != 5 {
				t.Errorf("%d processes run, want 5", n)
			}
			check(t, cmd.Process.Signal(signal))
			_ = cmd.Wait()
			check(t, sandbox.WaitFor(within(t), "every process to end", func(context.Context) (bool, error) { return len(marked(mark)) == 0, nil }))
			if left, _ := os.ReadDir(folder); signal != syscall.SIGKILL && len(left) > 0 {
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
	if len(writes) != 1 || writes[0].Verb != "create" || writes[0].Resource != "configmaps" || writes[0].Name != "written" || writes[0].Code != 201 {
		t.Errorf("writes: %v, want the one create", writes)
	}
}
