// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/e2e/testbed"
)

const metricsPath = "/apis/metrics.k8s.io/v1beta1"

// usage is metrics.k8s.io as a metrics-server has it: the pods that a selector selects share the millicores evenly.
type usage struct {
	t          *testing.T
	millicores atomic.Int64
}

func (u *usage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var answer any
	namespace, pods := strings.CutPrefix(strings.TrimSuffix(r.URL.Path, "/pods"), metricsPath+"/namespaces/")
	switch {
	case r.URL.Path == metricsPath:
		answer = map[string]any{
			"kind":         "APIResourceList",
			"apiVersion":   "v1",
			"groupVersion": "metrics.k8s.io/v1beta1",
			"resources": []any{
				map[string]any{"name": "pods", "namespaced": true, "kind": "PodMetrics", "verbs": []string{"get", "list"}},
			},
		}
	case pods:
		items, err := u.pods(r.Context(), namespace, r.URL.Query().Get("labelSelector"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		answer = map[string]any{
			"kind":       "PodMetricsList",
			"apiVersion": "metrics.k8s.io/v1beta1",
			"metadata":   map[string]any{},
			"items":      items,
		}
	default:
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		u.t.Log(err)
	}
}

func (u *usage) pods(ctx context.Context, namespace, text string) ([]any, error) {
	selector, err := labels.Parse(text)
	if err != nil {
		return nil, err
	}
	list := &corev1.PodList{}
	if err := bed.Client.List(
		ctx,
		list,
		client.InNamespace(namespace),
		client.MatchingLabelsSelector{Selector: selector},
	); err != nil {
		return nil, err
	}
	items := []any{}
	for _, pod := range list.Items {
		each := resource.NewMilliQuantity(u.millicores.Load()/int64(len(list.Items)), resource.DecimalSI)
		items = append(items, map[string]any{
			"metadata":  map[string]any{"name": pod.Name, "namespace": namespace},
			"timestamp": time.Now().UTC().Format(time.RFC3339), "window": "1s",
			"containers": []any{map[string]any{
				"name": resources.RedisContainer, "usage": map[string]string{"cpu": each.String(), "memory": "10Mi"},
			}},
		})
	}
	return items, nil
}

// serveMetrics registers a server of metrics.k8s.io with the API server.
func serveMetrics(t *testing.T, ns string) *usage {
	t.Helper()
	u := &usage{t: t}
	address := bed.Sandbox.APIServerAddr().String()
	listener, err := net.Listen("tcp", net.JoinHostPort(address, "0"))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(u)
	server.Listener.Close()
	server.Listener = listener
	server.StartTLS()
	t.Cleanup(server.Close)
	service := &unstructured.Unstructured{}
	service.SetAPIVersion("apiregistration.k8s.io/v1")
	service.SetKind("APIService")
	service.SetName("v1beta1.metrics.k8s.io")
	t.Cleanup(func() { // before the namespace: while a group cannot be listed none is deleted
		if err := bed.Client.Delete(context.Background(), service); err != nil {
			t.Error(err)
		}
	})
	manifest := fmt.Sprintf(`
apiVersion: v1
kind: Service
metadata: {name: metrics-server, namespace: %[1]s}
spec: {ports: [{name: https, port: 443, targetPort: %[3]d}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: metrics-server, namespace: %[1]s, labels: {kubernetes.io/service-name: metrics-server}}
addressType: IPv4
ports: [{name: https, port: %[3]d, protocol: TCP}]
endpoints: [{addresses: [%[2]s], conditions: {ready: true}}]
---
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1beta1.metrics.k8s.io}
spec:
  group: metrics.k8s.io
  version: v1beta1
  groupPriorityMinimum: 100
  versionPriority: 100
  insecureSkipTLSVerify: true
  service: {name: metrics-server, namespace: %[1]s, port: 443}
`, ns, address, listener.Addr().(*net.TCPAddr).Port)
	if err := bed.Sandbox.Apply(t.Context(), []byte(manifest)); err != nil {
		t.Fatal(err)
	}
	return u
}

// autoscale applies the manifest of the guide, with which fewer pods are wanted at once.
func autoscale(t *testing.T, key client.ObjectKey) {
	t.Helper()
	root, err := testbed.Root()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(root, "docs/guide/operations/scaling.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, text, _ := strings.Cut(string(page), "    kubectl apply -f - <<END\n")
	text, _, found := strings.Cut(text, "    END\n")
	if !found {
		t.Fatal("the page has no manifest")
	}
	text = strings.ReplaceAll(text, "metadata: {name: cache}", "metadata: {name: cache, namespace: "+key.Namespace+"}")
	if err := bed.Sandbox.Apply(t.Context(), []byte(strings.ReplaceAll("\n"+text, "\n    ", "\n"))); err != nil {
		t.Fatal(err)
	}
	hpa := &autoscalingv2.HorizontalPodAutoscaler{}
	if err := bed.Client.Get(t.Context(), key, hpa); err != nil {
		t.Fatal(err)
	}
	before := hpa.DeepCopy()
	hpa.Spec.Behavior = &autoscalingv2.HorizontalPodAutoscalerBehavior{
		ScaleDown: &autoscalingv2.HPAScalingRules{StabilizationWindowSeconds: ptr.To[int32](0)},
	}
	if err := bed.Client.Patch(t.Context(), hpa, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}

// scaledTo waits until the autoscaler wants a number of pods, and they are there.
func scaledTo(t *testing.T, key client.ObjectKey, want int32) *v1alpha1.RedisHA {
	t.Helper()
	eventually(t, fmt.Sprintf("%d pods to be wanted", want), 2*time.Minute, func(ctx context.Context) (bool, error) {
		rha, err := bed.Get(ctx, key)
		return err == nil && ptr.Deref(rha.Spec.Replicas, 0) == want, err
	})
	rha := settled(t, key)
	if rha.Status.Replicas != want {
		t.Errorf("%d pods, want %d", rha.Status.Replicas, want)
	}
	return rha
}

func TestAnAutoscalerScalesBothWaysUnderLoad(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	metrics := serveMetrics(t, ns)
	metrics.millicores.Store(150) // half of what three pods request
	key := create(t, ns, v1alpha1.RedisHASpec{Resources: corev1.ResourceRequirements{
		Requests: corev1.ResourceList{corev1.ResourceCPU: resource.MustParse("100m")},
	}})
	l := write(t, key, resources.RedisPort, nil, "autoscaler")
	autoscale(t, key)
	eventually(t, "the autoscaler to know the load", 2*time.Minute, func(ctx context.Context) (bool, error) {
		hpa := &autoscalingv2.HorizontalPodAutoscaler{}
		err := bed.Client.Get(ctx, key, hpa)
		for _, c := range hpa.Status.Conditions {
			if c.Type == autoscalingv2.ScalingActive {
				return c.Status == corev1.ConditionTrue && hpa.Status.CurrentReplicas == 3, err
			}
		}
		return false, err
	})
	scaledTo(t, key, 3)
	metrics.millicores.Store(250)
	scaledTo(t, key, 5)
	last := resources.PodName(key.Name, 4)
	answered(
		t, ask(t, ns, "last", v1alpha1.RedisHARequestSpec{Action: v1alpha1.ActionSwitchover, Pod: last}),
		v1alpha1.RequestSucceeded, "", last+" is master by epoch",
	)
	metrics.millicores.Store(150)
	after := scaledTo(t, key, 3)
	for _, entry := range after.Status.History {
		if entry.Kind == v1alpha1.HistoryFailover {
			t.Errorf("scaling needed a failover: %+v", entry)
		}
	}
	short(t, "while it was scaled", l.stop())
}
