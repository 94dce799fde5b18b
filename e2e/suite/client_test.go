// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/e2e/chaos"
	"github.com/redisha/redisha/e2e/cluster"
	"github.com/redisha/redisha/e2e/testbed"
)

// The chaos client's pod, as e2e/cmd/chaos/chaos.yaml has it.
const (
	chaosPod   = "chaos"
	chaosPort  = "8080"
	chaosImage = "localhost/redisha/chaos:e2e"
)

// clients is a pod of the chaos client.
type clients struct{ namespace, pod string }

// write starts the chaos client on another worker than the master's, and returns when it has had writes acknowledged in
// all its streams. Args are added to its arguments. Clients are on workers, as they are elsewhere: the kube-proxy of
// the control plane waits for the processor behind the API server, most of all during a failover.
func (s *site) write(ctx context.Context, master *corev1.Pod, args ...string) {
	GinkgoHelper()
	s.clients = s.writeFrom(ctx, chaosPod, env.otherWorker(ctx, master.Spec.NodeName), args...)
	time.Sleep(time.Second) // a second of writes that nothing happens to
}

// otherWorker is a node that pods run on, but not this one.
func (p *environment) otherWorker(ctx context.Context, node string) string {
	GinkgoHelper()
	nodes := &corev1.NodeList{}
	Expect(p.client.List(ctx, nodes)).To(Succeed())
	for i := range nodes.Items {
		if other := &nodes.Items[i]; other.Name != node && other.Name != cluster.ControlPlane && !other.Spec.Unschedulable {
			return other.Name
		}
	}
	Fail("no worker but " + node)
	return ""
}

// writeFrom starts a chaos client on a node.
func (s *site) writeFrom(ctx context.Context, name, node string, args ...string) clients {
	GinkgoHelper()
	root, err := testbed.Root()
	Expect(err).NotTo(HaveOccurred())
	manifests, err := os.ReadFile(filepath.Join(root, "e2e/cmd/chaos/chaos.yaml"))
	Expect(err).NotTo(HaveOccurred())
	objects, err := decode(manifests)
	Expect(err).NotTo(HaveOccurred())
	for _, object := range objects {
		object.SetNamespace(s.key.Namespace)
		if object.GetKind() == "Pod" {
			object.SetName(name)
			addArgs(object, args)
			spec := object.Object["spec"].(map[string]any)
			spec["nodeName"] = node
			delete(spec, "nodeSelector")
		}
		err := env.client.Create(ctx, object)
		Expect(client.IgnoreAlreadyExists(err)).To(Succeed())
	}
	Eventually(func(g Gomega) {
		pod := &corev1.Pod{}
		g.Expect(env.client.Get(ctx, client.ObjectKey{Namespace: s.key.Namespace, Name: name}, pod)).To(Succeed())
		g.Expect(pod.Status.Conditions).To(ContainElement(And(
			HaveField("Type", corev1.PodReady), HaveField("Status", corev1.ConditionTrue))), "writes are acknowledged")
	}).WithContext(ctx).Should(Succeed())
	return clients{namespace: s.key.Namespace, pod: name}
}

func decode(manifests []byte) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	for decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifests), 4096); ; {
		object := &unstructured.Unstructured{}
		switch err := decoder.Decode(&object.Object); {
		case errors.Is(err, io.EOF):
			return objects, nil
		case err != nil:
			return nil, err
		}
		objects = append(objects, object)
	}
}

func addArgs(pod *unstructured.Unstructured, args []string) {
	containers := pod.Object["spec"].(map[string]any)["containers"].([]any)
	container := containers[0].(map[string]any)
	for _, arg := range args {
		container["args"] = append(container["args"].([]any), arg)
	}
}

// ask sends a request to the chaos client, by way of the API server.
func (c clients) ask(ctx context.Context, path string, params map[string]string) ([]byte, error) {
	return env.kube.CoreV1().Pods(c.namespace).ProxyGet("http", c.pod, chaosPort, path, params).DoRaw(ctx)
}

// acknowledged waits until every stream has had a write acknowledged after all that happened until now.
func (c clients) acknowledged(ctx context.Context) {
	GinkgoHelper()
	c.acknowledgedWithin(ctx, 2*time.Minute)
}

func (c clients) acknowledgedWithin(ctx context.Context, patience time.Duration) {
	GinkgoHelper()
	now := time.Now() // the nodes are containers of this machine, and have its clock
	Eventually(func(g Gomega) {
		raw, err := c.ask(ctx, "progress", nil)
		g.Expect(err).NotTo(HaveOccurred())
		var progress chaos.Progress
		g.Expect(json.Unmarshal(raw, &progress)).To(Succeed())
		for _, stream := range progress.Streams {
			g.Expect(stream.LastAck).To(BeTemporally(">", now), "%s: %s", stream.Name, stream.Errors)
		}
	}).WithContext(ctx).WithTimeout(patience).Should(Succeed())
}

// stop ends the chaos client and returns what became of its writes.
func (c clients) stop(ctx context.Context) chaos.Result {
	GinkgoHelper()
	_, err := c.ask(ctx, "stop", nil)
	Expect(err).NotTo(HaveOccurred())
	pod := &corev1.Pod{}
	Eventually(func(g Gomega) {
		g.Expect(env.client.Get(ctx, client.ObjectKey{Namespace: c.namespace, Name: c.pod}, pod)).To(Succeed())
		g.Expect(pod.Status.Phase).To(BeElementOf(corev1.PodSucceeded, corev1.PodFailed))
	}).WithContext(ctx).Should(Succeed())
	log, err := env.kube.CoreV1().Pods(c.namespace).GetLogs(c.pod, &corev1.PodLogOptions{}).DoRaw(ctx)
	Expect(err).NotTo(HaveOccurred())
	result, err := parseResult(string(log))
	Expect(err).NotTo(HaveOccurred(), "the client printed %s", log)
	return result
}

// parseResult finds the result among what else a client may have printed: it is the line that is a JSON document.
func parseResult(log string) (chaos.Result, error) {
	for line := range strings.Lines(log) {
		var result chaos.Result
		if strings.HasPrefix(line, "{") && json.Unmarshal([]byte(line), &result) == nil && len(result.Streams) > 0 {
			return result, nil
		}
	}
	return chaos.Result{}, errors.New("no result in what the chaos client printed")
}
