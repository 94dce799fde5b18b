// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// keepTraces writes what a person wants to see of a scenario that failed: the object, its Events, its pods, and what
// each Redis says of itself. The logs are there already.
func (s *scene) keepTraces() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	dir, err := os.MkdirTemp(logs, strings.ReplaceAll(s.t.Name(), "/", "-")+"-")
	if err != nil {
		s.t.Log(err)
		return
	}
	s.t.Log("traces are in " + dir)
	if s.writers != nil {
		s.t.Log("errors of the writers: " + s.writers.Errors())
	}
	s.Ctx = ctx
	if rha, err := bed.Get(ctx, s.Key); err == nil {
		s.keep(dir, "redisha.yaml", rha)
	}
	pods, events := &corev1.PodList{}, &corev1.EventList{}
	if err := bed.Client.List(ctx, pods, client.InNamespace(s.Key.Namespace)); err == nil {
		s.keep(dir, "pods.yaml", pods)
	}
	if err := bed.Client.List(ctx, events, client.InNamespace(s.Key.Namespace)); err == nil {
		s.keep(dir, "events.yaml", events)
	}
	for i := range pods.Items {
		name := pods.Items[i].Name
		if _, err := bed.Sandbox.PodAddr(s.Key.Namespace, name); err != nil {
			continue
		}
		text, err := s.redis(name).Info(ctx, "everything").Result()
		if err != nil {
			text = err.Error()
		}
		s.keepFile(dir, name+".info", []byte(text))
		if path, err := bed.Sandbox.PodLogPath(s.Key.Namespace, name, "redis"); err == nil {
			if log, err := os.ReadFile(path); err == nil {
				s.keepFile(dir, name+".log", log)
			}
		}
	}
}

func (s *scene) keep(dir, name string, object any) {
	text, err := yaml.Marshal(object)
	if err != nil {
		s.t.Log(err)
		return
	}
	s.keepFile(dir, name, text)
}

func (s *scene) keepFile(dir, name string, text []byte) {
	if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
		s.t.Log(err)
	}
}
