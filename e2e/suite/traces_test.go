// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/e2e/testbed"
)

func (s *site) keepTracesOfFailure() {
	if CurrentSpecReport().Failed() {
		s.keepTraces()
	}
}

var unfit = regexp.MustCompile(`[^a-zA-Z0-9]+`)

// keepTraces writes what a person wants to see of a scenario that failed: the objects, the Events, the logs of the
// operator, and of each Redis its log and what it says of itself.
func (s *site) keepTraces() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	name := unfit.ReplaceAllString(CurrentSpecReport().FullText(), "-")
	dir := filepath.Join(artefacts(), strings.Trim(name[:min(len(name), 100)], "-")+"-"+time.Now().Format("150405"))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		AddReportEntry("no traces", err.Error())
		return
	}
	AddReportEntry("traces", dir)
	in := client.InNamespace(s.key.Namespace)
	lists := map[string]client.ObjectList{
		"redisha":        &v1alpha1.RedisHAList{},
		"pods":           &corev1.PodList{},
		"events":         &corev1.EventList{},
		"services":       &corev1.ServiceList{},
		"endpointslices": &discoveryv1.EndpointSliceList{},
		"statefulsets":   &appsv1.StatefulSetList{},
		"claims":         &corev1.PersistentVolumeClaimList{},
	}
	for file, list := range lists {
		keepObject(ctx, filepath.Join(dir, file+".yaml"), list, in)
	}
	keepObject(ctx, filepath.Join(dir, "nodes.yaml"), &corev1.NodeList{})
	operators := client.InNamespace(testbed.Namespace)
	keepObject(ctx, filepath.Join(dir, "operator-pods.yaml"), &corev1.PodList{}, operators)
	keepObject(ctx, filepath.Join(dir, "operator-events.yaml"), &corev1.EventList{}, operators)
	keepObject(ctx, filepath.Join(dir, "operator-leases.yaml"), &coordinationv1.LeaseList{}, operators)
	keepLogs(ctx, dir, operators)
	keepLogs(ctx, dir, in)
	s.keepInfos(ctx, dir)
	if progress, err := s.ask(ctx, "progress", nil); err == nil {
		keepFile(filepath.Join(dir, "clients.json"), progress)
	}
}

func keepObject(ctx context.Context, path string, list client.ObjectList, options ...client.ListOption) {
	if err := env.client.List(ctx, list, options...); err != nil {
		keepFile(path, []byte(err.Error()))
		return
	}
	text, err := yaml.Marshal(list)
	if err != nil {
		text = []byte(err.Error())
	}
	keepFile(path, text)
}

// keepLogs keeps the logs of all pods there, and of the containers that they had before.
func keepLogs(ctx context.Context, dir string, in client.InNamespace) {
	pods := &corev1.PodList{}
	if err := env.client.List(ctx, pods, in); err != nil {
		return
	}
	for _, pod := range pods.Items {
		for suffix, previous := range map[string]bool{".log": false, ".previous.log": true} {
			options := &corev1.PodLogOptions{Previous: previous, Timestamps: true}
			if log, err := env.kube.CoreV1().Pods(pod.Namespace).GetLogs(pod.Name, options).DoRaw(ctx); err == nil {
				keepFile(filepath.Join(dir, pod.Name+suffix), log)
			}
		}
	}
}

func (s *site) keepInfos(ctx context.Context, dir string) {
	pods := &corev1.PodList{}
	if err := env.client.List(ctx, pods, client.InNamespace(s.key.Namespace)); err != nil {
		return
	}
	for i := range pods.Items {
		if pods.Items[i].Spec.Containers[0].Name != resources.RedisContainer {
			continue
		}
		text, err := env.redis(ctx, &pods.Items[i], "info", "everything")
		if err != nil {
			text += err.Error()
		}
		keepFile(filepath.Join(dir, pods.Items[i].Name+".info"), []byte(text))
	}
}

func keepFile(path string, text []byte) {
	if err := os.WriteFile(path, text, 0o644); err != nil {
		AddReportEntry("not kept", err.Error())
	}
}
