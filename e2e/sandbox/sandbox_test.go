// SPDX-License-Identifier: Apache-2.0

package sandbox_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/redisha/redisha/e2e/sandbox"
)

// One sandbox serves all tests; each has a namespace of its own.
var (
	shared *sandbox.Sandbox
	client kubernetes.Interface
)

func TestMain(m *testing.M) {
	sandbox.Enter()
	os.Exit(runTests(m))
}

func runTests(m *testing.M) int {
	if os.Getenv(envSleeper) != "" { // this process is the subject of a test
		return sleeper()
	}
	var err error
	shared, err = sandbox.Start(context.Background(), sandbox.Options{
		Progress: os.Stderr, LogDir: os.Getenv("SANDBOX_LOG_DIR"), RestartBackOff: 2 * time.Second,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer shared.Stop()
	client = kubernetes.NewForConfigOrDie(shared.AdminConfig())
	return m.Run()
}

const patience = 40 * time.Second

// within bounds everything a test waits for.
func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// newNamespace makes a namespace for the test and deletes it at once afterwards, with all that is in it.
func newNamespace(t *testing.T) string {
	t.Helper()
	namespace, err := client.CoreV1().
		Namespaces().
		Create(within(t), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}, metav1.CreateOptions{})
	check(t, err)
	t.Cleanup(func() {
		ctx := context.Background()
		zero := int64(0)
		_ = client.CoreV1().
			Pods(namespace.Name).
			DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: &zero}, metav1.ListOptions{})
		_ = client.CoreV1().Namespaces().Delete(ctx, namespace.Name, metav1.DeleteOptions{})
	})
	return namespace.Name
}

// apply applies manifests that name no namespace to the test's.
func apply(t *testing.T, namespace, manifests string) {
	t.Helper()
	manifests = strings.ReplaceAll(manifests, "metadata: {name:", "metadata: {namespace: "+namespace+", name:")
	check(t, shared.Apply(within(t), []byte(manifests)))
}

const redisCommand = `[redis-server, --save, "", --protected-mode, "no", --dir, /scratch]`

// redisPod is a pod with nothing but a redis that keeps no data.
func redisPod(name string) string {
	return `
apiVersion: v1
kind: Pod
metadata: {name: ` + name + `, labels: {app: ` + name + `}}
spec:
  terminationGracePeriodSeconds: 2
  automountServiceAccountToken: false
  containers:
  - name: redis
    image: redis:7
    command: ` + redisCommand + `
    readinessProbe: {tcpSocket: {port: 6379}, periodSeconds: 1}
    volumeMounts: [{name: scratch, mountPath: /scratch}]
  volumes: [{name: scratch, emptyDir: {}}]
---
`
}

// waitPod waits until the pod is as the condition wants it and returns it.
func waitPod(t *testing.T, namespace, name, what string, condition func(*corev1.Pod) bool) *corev1.Pod {
	t.Helper()
	var pod *corev1.Pod
	err := sandbox.WaitFor(within(t), name+" "+what, func(ctx context.Context) (bool, error) {
		var err error
		pod, err = client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
		return err == nil && condition(pod), nil
	})
	if err != nil {
		t.Fatalf("%v\nlast status: %+v", err, pod.Status)
	}
	return pod
}

func isReady(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue && pod.DeletionTimestamp == nil
		}
	}
	return false
}

func ready(t *testing.T, namespace, name string) *corev1.Pod {
	t.Helper()
	return waitPod(t, namespace, name, "ready", isReady)
}

func podAddr(t *testing.T, pod *corev1.Pod) netip.Addr {
	t.Helper()
	addr, err := netip.ParseAddr(pod.Status.PodIP)
	check(t, err)
	return addr
}

func newHost(t *testing.T) *sandbox.Host {
	t.Helper()
	host, err := shared.NewHost(t.Name())
	check(t, err)
	t.Cleanup(func() { _ = host.Close() })
	return host
}

// dial connects from the host and gives up after the time.
func dial(t *testing.T, host *sandbox.Host, address string, timeout time.Duration) (net.Conn, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	conn, err := host.DialContext(ctx, "tcp", address)
	if err == nil {
		t.Cleanup(func() { conn.Close() })
	}
	return conn, err
}

// say sends an inline command and returns the first line of the answer.
func say(conn net.Conn, command string, timeout time.Duration) (string, error) {
	_ = conn.SetDeadline(time.Now().Add(timeout))
	if _, err := fmt.Fprintf(conn, "%s\r\n", command); err != nil {
		return "", err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	return strings.TrimSpace(line), err
}

// ask is say on a connection of its own, tried until a Redis answers.
func ask(t *testing.T, host *sandbox.Host, address, command string) string {
	t.Helper()
	var answer string
	check(t, sandbox.WaitFor(within(t), command+" at "+address, func(ctx context.Context) (bool, error) {
		conn, err := host.DialContext(ctx, "tcp", address)
		if err != nil {
			return false, nil
		}
		defer conn.Close()
		answer, err = say(conn, command, 2*time.Second)
		return err == nil, nil
	}))
	return answer
}
