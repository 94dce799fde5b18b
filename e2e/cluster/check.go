// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/remotecommand"
)

const checkNamespace = "kind-check"

// ready waits until all nodes are ready.
func (c *Cluster) ready(ctx context.Context, within time.Duration) error {
	client, err := c.client()
	if err != nil {
		return err
	}
	return eventually(ctx, within, "all nodes are ready", func(ctx context.Context) error {
		nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		if len(nodes.Items) != 1+len(c.Workers) {
			return fmt.Errorf("%d nodes of %d", len(nodes.Items), 1+len(c.Workers))
		}
		for _, node := range nodes.Items {
			if !isReady(node.Status.Conditions) {
				return fmt.Errorf("node %s is not ready", node.Name)
			}
		}
		return nil
	})
}

func isReady(conditions []corev1.NodeCondition) bool {
	for _, condition := range conditions {
		if condition.Type == corev1.NodeReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

func (c *Cluster) client() (*kubernetes.Clientset, error) {
	config, err := c.Config()
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(config)
}

// eventually tries until it works. Its error holds what was wrong last.
func eventually(ctx context.Context, within time.Duration, what string, try func(context.Context) error) error {
	var last error
	err := wait.PollUntilContextTimeout(ctx, 250*time.Millisecond, within, true, func(ctx context.Context) (bool, error) {
		last = try(ctx)
		return last == nil, nil
	})
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("not within %s: %s: %w", within, what, last)
	}
	return err
}

// check looks whether the cluster is one that tests can rely on. Two Redis run on two nodes, each on a volume. A value
// is written by name and through a Service from one to the other; it has to be there when the other's pod has been made
// anew.
func (c *Cluster) check(ctx context.Context) error {
	if err := c.ready(ctx, 2*time.Minute); err != nil {
		return err
	}
	client, err := c.client()
	if err != nil {
		return err
	}
	if err := removeCheck(ctx, client); err != nil {
		return err
	}
	if err := createCheck(ctx, client, c.Images.Servers[0].Image); err != nil {
		return err
	}
	if err := c.volumeSurvives(ctx, client); err != nil {
		return fmt.Errorf("the cluster does not work as it should (kubectl --kubeconfig %s -n %s get events tells more): %w",
			c.Kubeconfig, checkNamespace, err)
	}
	// What is left goes by itself; there is no need to wait.
	return client.CoreV1().Namespaces().Delete(ctx, checkNamespace, metav1.DeleteOptions{})
}

func (c *Cluster) volumeSurvives(ctx context.Context, client *kubernetes.Clientset) error {
	redis := func(pod string, args ...string) (string, error) {
		return c.exec(
			ctx,
			client,
			pod,
			append([]string{"redis-cli", "-h", "first." + checkNamespace + ".svc.cluster.local"}, args...)...)
	}
	err := eventually(ctx, 3*time.Minute, "a value is written through a Service by name", func(context.Context) error {
		out, err := redis("check-1", "set", "key", "value")
		if err == nil && out != "OK" {
			err = errors.New(out)
		}
		return err
	})
	if err != nil {
		return err
	}
	pods := client.CoreV1().Pods(checkNamespace)
	before, err := pods.Get(ctx, "check-0", metav1.GetOptions{})
	if err != nil {
		return err
	}
	if err := pods.Delete(ctx, before.Name, metav1.DeleteOptions{}); err != nil {
		return err
	}
	return eventually(
		ctx,
		2*time.Minute,
		"the value is there after its pod was made anew",
		func(ctx context.Context) error {
			now, err := pods.Get(ctx, before.Name, metav1.GetOptions{})
			if err != nil {
				return err
			}
			if now.UID == before.UID {
				return errors.New("the pod is still the old one")
			}
			out, err := redis("check-1", "get", "key")
			if err == nil && out != "value" {
				err = fmt.Errorf("the value is %q", out)
			}
			return err
		},
	)
}

// exec runs a command in a pod and returns what it prints.
func (c *Cluster) exec(
	ctx context.Context, client *kubernetes.Clientset, pod string, command ...string,
) (string, error) {
	config, err := c.Config()
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request := client.CoreV1().
		RESTClient().
		Post().
		Resource("pods").
		Namespace(checkNamespace).
		Name(pod).
		SubResource("exec").
		VersionedParams(&corev1.PodExecOptions{Command: command, Stdout: true, Stderr: true}, scheme.ParameterCodec)
	executor, err := remotecommand.NewSPDYExecutor(config, "POST", request.URL())
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	err = executor.StreamWithContext(ctx, remotecommand.StreamOptions{Stdout: &out, Stderr: &out})
	return strings.TrimSpace(out.String()), err
}

func createCheck(ctx context.Context, client *kubernetes.Clientset, image string) error {
	text, err := files.ReadFile("manifests/check.yaml")
	if err != nil {
		return err
	}
	decoder := yaml.NewYAMLReader(bufio.NewReader(strings.NewReader(strings.ReplaceAll(string(text), "IMAGE", image))))
	for {
		document, err := decoder.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		object, _, err := scheme.Codecs.UniversalDeserializer().Decode(document, nil, nil)
		if err != nil {
			return err
		}
		switch object := object.(type) {
		case *corev1.Namespace:
			_, err = client.CoreV1().Namespaces().Create(ctx, object, metav1.CreateOptions{})
		case *corev1.Service:
			_, err = client.CoreV1().Services(checkNamespace).Create(ctx, object, metav1.CreateOptions{})
		case *appsv1.StatefulSet:
			_, err = client.AppsV1().StatefulSets(checkNamespace).Create(ctx, object, metav1.CreateOptions{})
		}
		if err != nil {
			return err
		}
	}
}

// removeCheck removes what an earlier look has left.
func removeCheck(ctx context.Context, client *kubernetes.Clientset) error {
	err := client.CoreV1().Namespaces().Delete(ctx, checkNamespace, metav1.DeleteOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	return eventually(ctx, 2*time.Minute, "what an earlier check left is gone", func(ctx context.Context) error {
		_, err := client.CoreV1().Namespaces().Get(ctx, checkNamespace, metav1.GetOptions{})
		if err == nil {
			return errors.New("its namespace is still there")
		}
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	})
}
