// SPDX-License-Identifier: Apache-2.0

package sandbox_test

import (
	"bufio"
	"context"
	"errors"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"

	"github.com/redisha/redisha/e2e/sandbox"
)

func TestStatefulSetOfRealRedisComesUpReady(t *testing.T) {
	namespace := newNamespace(t)
	manifests, err := os.ReadFile("testdata/redis.yaml")
	check(t, err)
	apply(t, namespace, string(manifests))
	nodes := map[string]bool{}
	for _, name := range []string{"cache-0", "cache-1", "cache-2"} {
		pod := ready(t, namespace, name)
		nodes[pod.Spec.NodeName] = true
	}
	if len(nodes) != 3 {
		t.Errorf("3 pods are on %d nodes, want one on each", len(nodes))
	}
	ctx := within(t)
	for _, c := range []struct{ command, want string }{
		{"cat /scratch/init", "cache-0 sesame\n"},
		{"cat /etc/redisha-auth/password", "sesame"},
		{"redis-cli set kept yes", "OK\n"}, // at 127.0.0.1, which is the pod's own
		{"cat /proc/1/comm", "redis-server\n"},
		{"hostname", "cache-0\n"},
	} {
		got, err := shared.Exec(ctx, namespace, "cache-0", "redis", strings.Fields(c.command)...)
		if err != nil || got != c.want {
			t.Errorf("%s: %q, %v; want %q", c.command, got, err, c.want)
		}
	}
	if _, err := shared.Exec(
		ctx, namespace, "cache-1", "redis", "sh", "-c", "head -c 20000000 /dev/zero > /data/big",
	); err == nil {
		t.Error("20 MB went into a volume of 16Mi, want no space left")
	}
	for _, path := range []string{"/written", "/usr/written", "/etc/redisha/written"} {
		if _, err := shared.Exec(ctx, namespace, "cache-0", "redis", "touch", path); err == nil {
			t.Errorf("%s could be written, want a read-only root, image and ConfigMap", path)
		}
	}
	testVolumeSurvivesThePod(t, namespace)
}

// testVolumeSurvivesThePod deletes cache-0, which has written kept.
func testVolumeSurvivesThePod(t *testing.T, namespace string) {
	t.Helper()
	before := ready(t, namespace, "cache-0")
	check(t, client.CoreV1().Pods(namespace).Delete(within(t), "cache-0", metav1.DeleteOptions{}))
	after := waitPod(
		t,
		namespace,
		"cache-0",
		"is a new pod and ready",
		func(pod *corev1.Pod) bool { return pod.UID != before.UID && isReady(pod) },
	)
	if after.Status.PodIP == before.Status.PodIP {
		t.Errorf("the new pod has the old address %s", after.Status.PodIP)
	}
	host := newHost(t)
	if got := ask(t, host, after.Status.PodIP+":6379", "GET kept"); got != "$3" {
		t.Errorf("GET kept begins with %q, want the value written before", got)
	}
	hooks, err := shared.Exec(within(t), namespace, "cache-0", "redis", "cat", "/data/prestop")
	if err != nil || strings.Count(hooks, "\n") != 1 {
		t.Errorf("the preStop hook left %q, %v; want one line", hooks, err)
	}
}

func TestKilledProcessRestartsAtOnceAsANewContainerAndThenBacksOff(t *testing.T) {
	namespace := newNamespace(t)
	apply(t, namespace, redisPod("single"))
	before := ready(t, namespace, "single").Status.ContainerStatuses[0]
	_, err := shared.Exec(within(t), namespace, "single", "redis", "touch", "/scratch/kept")
	check(t, err)

	check(t, shared.Signal(namespace, "single", "redis", syscall.SIGKILL))
	after := waitPod(t, namespace, "single", "restarted and ready", func(pod *corev1.Pod) bool {
		return isReady(pod) && pod.Status.ContainerStatuses[0].RestartCount == 1
	}).Status.ContainerStatuses[0]
	if after.ContainerID == before.ContainerID {
		t.Errorf("the container ID is still %s", after.ContainerID)
	}
	if last := after.LastTerminationState.Terminated; last == nil || last.ExitCode != 137 ||
		last.ContainerID != before.ContainerID {
		t.Errorf("last state is %+v, want the killed container's, exit code 137", last)
	}
	if _, err := shared.Exec(within(t), namespace, "single", "redis", "ls", "/scratch/kept"); err != nil {
		t.Errorf("emptyDir did not survive the container: %v", err)
	}

	check(t, shared.Signal(namespace, "single", "redis", syscall.SIGKILL))
	waitPod(t, namespace, "single", "in CrashLoopBackOff", func(pod *corev1.Pod) bool {
		waiting := pod.Status.ContainerStatuses[0].State.Waiting
		return waiting != nil && waiting.Reason == "CrashLoopBackOff" && !isReady(pod)
	})
	waitPod(
		t,
		namespace,
		"single",
		"back",
		func(pod *corev1.Pod) bool { return isReady(pod) && pod.Status.ContainerStatuses[0].RestartCount == 2 },
	)
}

// supervisor is a shell that starts its redis-server anew, as in the pods of a RedisHA: the first process is not the
// one that answers.
const supervisor = `[sh, -c, 'trap "kill -TERM $child; exit 0" TERM; while :; do redis-server --save "" --protected-mode no --dir /scratch & child=$!; wait; done']`

func TestASignalReachesTheProgramThatAShellSupervisesAndItsContainerStays(t *testing.T) {
	namespace := newNamespace(t)
	apply(t, namespace, strings.Replace(redisPod("supervised"), redisCommand, supervisor, 1))
	before := ready(t, namespace, "supervised")
	host, address := newHost(t), before.Status.PodIP+":6379"
	check(t, shared.Signal(namespace, "supervised", "redis", syscall.SIGSTOP))
	if conn, err := dial(t, host, address, 5*time.Second); err == nil {
		if answer, err := say(conn, "PING", 300*time.Millisecond); err == nil {
			t.Errorf("a stopped Redis answered %q", answer)
		}
	}
	check(t, shared.Signal(namespace, "supervised", "redis", syscall.SIGCONT))
	ask(t, host, address, "SET kept yes")
	for range 3 {
		check(t, shared.Signal(namespace, "supervised", "redis", syscall.SIGKILL))
	}
	check(t, sandbox.WaitFor(within(t), "another process", func(context.Context) (bool, error) {
		return ask(t, host, address, "EXISTS kept") == ":0", nil
	}))
	if status := waitPod(t, namespace, "supervised", "there", isReady).Status.ContainerStatuses[0]; status.RestartCount != 0 {
		t.Errorf("its container was started anew: %+v", status)
	}
	check(t, shared.SignalContainer(namespace, "supervised", "redis", syscall.SIGKILL))
	waitPod(
		t,
		namespace,
		"supervised",
		"restarted",
		func(pod *corev1.Pod) bool { return pod.Status.ContainerStatuses[0].RestartCount == 1 },
	)
}

func TestHungProcessFailsItsLivenessProbeAndIsReplaced(t *testing.T) {
	namespace := newNamespace(t)
	manifest := strings.Replace(
		redisPod("hung"),
		"    readinessProbe:",
		`    livenessProbe: {exec: {command: [redis-cli, ping]}, periodSeconds: 1, timeoutSeconds: 1, failureThreshold: 2, terminationGracePeriodSeconds: 1}
    readinessProbe:`,
		1,
	)
	apply(t, namespace, manifest)
	ready(t, namespace, "hung")
	check(t, shared.Signal(namespace, "hung", "redis", syscall.SIGSTOP))
	pod := waitPod(
		t,
		namespace,
		"hung",
		"restarted",
		func(pod *corev1.Pod) bool { return pod.Status.ContainerStatuses[0].RestartCount == 1 },
	)
	if last := pod.Status.ContainerStatuses[0].LastTerminationState.Terminated; last == nil ||
		last.Signal != int32(syscall.SIGKILL) {
		t.Errorf("last state is %+v; a stopped process ignores SIGTERM, so want SIGKILL", last)
	}
	ready(t, namespace, "hung")
}

func TestForceDeletionKillsAtOnce(t *testing.T) {
	namespace := newNamespace(t)
	apply(
		t, namespace,
		strings.Replace(redisPod("forced"), "terminationGracePeriodSeconds: 2", "terminationGracePeriodSeconds: 600", 1),
	)
	pod := ready(t, namespace, "forced")
	check(t, shared.Signal(namespace, "forced", "redis", syscall.SIGSTOP)) // it would not listen to SIGTERM
	zero := int64(0)
	check(t, client.CoreV1().Pods(namespace).Delete(within(t), "forced", metav1.DeleteOptions{GracePeriodSeconds: &zero}))
	check(t, sandbox.WaitFor(within(t), "the process to be gone", func(context.Context) (bool, error) {
		return shared.Signal(namespace, "forced", "redis", 0) != nil, nil
	}))
	_, err := client.CoreV1().Pods(namespace).Get(within(t), "forced", metav1.GetOptions{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("get pod: %v, want not found", err)
	}
	host := newHost(t)
	if conn, err := dial(t, host, pod.Status.PodIP+":6379", 300*time.Millisecond); err == nil {
		t.Errorf("%s still accepts connections from %s", conn.RemoteAddr(), conn.LocalAddr())
	}
}

func TestGracePeriodEndsInSIGKILL(t *testing.T) {
	namespace := newNamespace(t)
	apply(t, namespace, redisPod("graceful"))
	ready(t, namespace, "graceful")
	check(t, shared.Signal(namespace, "graceful", "redis", syscall.SIGSTOP))
	began := time.Now()
	check(
		t,
		client.PolicyV1().
			Evictions(namespace).
			Evict(within(t), &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "graceful"}}),
	)
	waitPod(t, namespace, "graceful", "terminating", func(pod *corev1.Pod) bool { return pod.DeletionTimestamp != nil })
	check(t, sandbox.WaitFor(within(t), "the pod to be gone", func(ctx context.Context) (bool, error) {
		_, err := client.CoreV1().Pods(namespace).Get(ctx, "graceful", metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	}))
	if took := time.Since(began); took < 2*time.Second {
		t.Errorf("gone after %s, before its grace period of 2s was over", took)
	}
}

func TestConfigMapReachesTheRunningPod(t *testing.T) {
	namespace := newNamespace(t)
	apply(t, namespace, `
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: red, shape: round}
---
`+strings.NewReplacer("volumes: [", "volumes: [{name: settings, configMap: {name: settings, items: [{key: colour, path: deep/colour}]}}, ",
		"volumeMounts: [", "volumeMounts: [{name: settings, mountPath: /settings}, ").Replace(redisPod("reader")))
	ready(t, namespace, "reader")
	read := func() string {
		content, err := shared.Exec(within(t), namespace, "reader", "redis", "cat", "/settings/deep/colour")
		check(t, err)
		return content
	}
	if got := read(); got != "red" {
		t.Fatalf("colour is %q, want red", got)
	}
	_, err := client.CoreV1().
		ConfigMaps(namespace).
		Patch(within(t), "settings", types.MergePatchType, []byte(`{"data":{"colour":"blue"}}`), metav1.PatchOptions{})
	check(t, err)
	check(
		t,
		sandbox.WaitFor(within(t), "the new colour", func(context.Context) (bool, error) { return read() == "blue", nil }),
	)
}

func TestPodThatCannotRunSaysWhy(t *testing.T) {
	namespace := newNamespace(t)
	apply(t, namespace, strings.Replace(redisPod("imageless"), "image: redis:7", "image: example.com/none/nothing:1", 1)+
		strings.Replace(redisPod("nodeless"), "spec:", "spec:\n  nodeSelector: {colour: green}", 1)+
		strings.Replace(
			redisPod("secretless"), "    readinessProbe:",
			"    env: [{name: X, valueFrom: {secretKeyRef: {name: missing, key: x}}}]\n    readinessProbe:", 1,
		))
	waiting := func(reasons ...string) func(*corev1.Pod) bool {
		return func(pod *corev1.Pod) bool {
			for _, s := range pod.Status.ContainerStatuses {
				for _, reason := range reasons {
					if s.State.Waiting != nil && s.State.Waiting.Reason == reason {
						return true
					}
				}
			}
			return false
		}
	}
	waitPod(t, namespace, "imageless", "in ErrImagePull", waiting("ErrImagePull", "ImagePullBackOff"))
	waitPod(t, namespace, "secretless", "in CreateContainerConfigError", waiting("CreateContainerConfigError"))
	waitPod(t, namespace, "nodeless", "unschedulable", func(pod *corev1.Pod) bool {
		return len(pod.Status.Conditions) > 0 && pod.Status.Conditions[0].Reason == corev1.PodReasonUnschedulable
	})
	_, err := client.CoreV1().
		Nodes().
		Patch(within(t), sandbox.NodeName(1), types.MergePatchType, []byte(`{"metadata":{"labels":{"colour":"green"}}}`), metav1.PatchOptions{})
	check(t, err)
	if pod := ready(t, namespace, "nodeless"); pod.Spec.NodeName != sandbox.NodeName(1) {
		t.Errorf("the pod is on %s, want the node with the label", pod.Spec.NodeName)
	}
}

func TestFailedNodeIsSilentAndItsPodsComeBackWithIt(t *testing.T) {
	namespace := newNamespace(t)
	apply(t, namespace, redisPod("unlucky"))
	before := ready(t, namespace, "unlucky")
	_, err := shared.Exec(within(t), namespace, "unlucky", "redis", "touch", "/scratch/kept")
	check(t, err)
	host := newHost(t)
	conn, err := dial(t, host, before.Status.PodIP+":6379", 5*time.Second)
	check(t, err)
	if got, err := say(conn, "PING", 5*time.Second); got != "+PONG" {
		t.Fatalf("PING: %q, %v", got, err)
	}

	node := before.Spec.NodeName
	check(t, shared.FailNode(within(t), node))
	recovered := false
	t.Cleanup(func() {
		if !recovered {
			check(t, shared.RecoverNode(context.Background(), node))
		}
	})
	if got, err := say(conn, "PING", 700*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("PING to a failed node: %q, %v; want silence", got, err)
	}
	pod, err := client.CoreV1().Pods(namespace).Get(within(t), "unlucky", metav1.GetOptions{})
	check(t, err)
	if pod.Status.ContainerStatuses[0].State.Running == nil {
		t.Errorf("a failed node reported: %+v", pod.Status.ContainerStatuses[0].State)
	}
	apply(t, namespace, redisPod("elsewhere"))
	if pod := ready(t, namespace, "elsewhere"); pod.Spec.NodeName == node {
		t.Errorf("a pod runs on %s, which has failed", node)
	}

	check(t, shared.RecoverNode(within(t), node))
	recovered = true
	after := waitPod(t, namespace, "unlucky", "back", func(pod *corev1.Pod) bool {
		return isReady(pod) && pod.Status.ContainerStatuses[0].RestartCount == 1
	})
	if after.UID != before.UID || after.Status.PodIP == before.Status.PodIP {
		t.Errorf(
			"UID %s, address %s; want the same pod with an address other than %s", after.UID, after.Status.PodIP,
			before.Status.PodIP,
		)
	}
	if last := after.Status.ContainerStatuses[0].LastTerminationState.Terminated; last == nil ||
		last.ContainerID != before.Status.ContainerStatuses[0].ContainerID {
		t.Errorf("last state is %+v, want the container's before the failure", last)
	}
	if _, err := shared.Exec(within(t), namespace, "unlucky", "redis", "ls", "/scratch/kept"); err != nil {
		t.Errorf("emptyDir did not survive the reboot: %v", err)
	}
}

func TestAFrozenNodeStandsStillAndGoesOnWhereItWas(t *testing.T) {
	namespace := newNamespace(t)
	apply(t, namespace, strings.Replace(redisPod("frozen"), redisCommand, supervisor, 1))
	before := ready(t, namespace, "frozen")
	host := newHost(t)
	conn, err := dial(t, host, before.Status.PodIP+":6379", 5*time.Second)
	check(t, err)
	if got, err := say(conn, "PING", 5*time.Second); got != "+PONG" {
		t.Fatalf("PING: %q, %v", got, err)
	}

	node := before.Spec.NodeName
	freeze := func() (thaw func()) {
		check(t, shared.FreezeNode(within(t), node))
		thaw = sync.OnceFunc(func() { check(t, shared.ThawNode(context.Background(), node)) })
		t.Cleanup(thaw)
		return thaw
	}
	thaw := freeze()
	if err := shared.FreezeNode(within(t), node); err == nil {
		t.Error("a frozen node was frozen")
	}
	if got, err := say(conn, "PING", 700*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("PING to a frozen node: %q, %v; want silence", got, err)
	}
	thaw()
	check(t, conn.SetDeadline(time.Now().Add(5*time.Second)))
	if got, err := bufio.NewReader(conn).ReadString('\n'); got != "+PONG\r\n" {
		t.Errorf("the answer to a PING from before the thaw: %q, %v", got, err)
	}

	thaw = freeze()
	taken, err := dial(t, host, before.Status.PodIP+":6379", 5*time.Second)
	check(t, err)
	check(
		t,
		client.CoreV1().
			Pods(namespace).
			Delete(within(t), "frozen", metav1.DeleteOptions{GracePeriodSeconds: ptr.To(int64(1))}),
	)
	if got, err := say(taken, "PING", 2*time.Second); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("PING after the grace period: %q, %v; want silence, for nothing on a frozen node ends", got, err)
	}
	if _, err := client.CoreV1().Pods(namespace).Get(within(t), "frozen", metav1.GetOptions{}); err != nil {
		t.Errorf("the pod of a frozen node: %v", err)
	}
	thaw()
	check(t, sandbox.WaitFor(within(t), "the pod to go", func(ctx context.Context) (bool, error) {
		_, err := client.CoreV1().Pods(namespace).Get(ctx, "frozen", metav1.GetOptions{})
		return apierrors.IsNotFound(err), nil
	}))
}
