// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"
	"net/netip"
)

// Exec runs a command in a running container, in its namespaces and with its environment, as kubectl exec would, and
// returns what it printed on both streams. An exit code other than 0 is an error.
func (s *Sandbox) Exec(ctx context.Context, namespace, pod, container string, command ...string) (string, error) {
	p, err := s.runner.process(namespace, pod, container)
	if err != nil {
		return "", err
	}
	code, output, err := p.output(ctx, command...)
	if err == nil && code != 0 {
		err = fmt.Errorf("%v in %s/%s: exit code %d: %s", command, namespace, pod, code, output)
	}
	return output, err
}

// PodAddr returns the address of a pod as the runner knows it, before and after the API does.
func (s *Sandbox) PodAddr(namespace, pod string) (netip.Addr, error) {
	w, err := s.runner.find(namespace, pod)
	if err != nil {
		return netip.Addr{}, err
	}
	return netip.ParseAddr(w.addr())
}

// PodLogPath returns the file with what the present incarnation of a container printed, or the last one if it is not
// running.
func (s *Sandbox) PodLogPath(namespace, pod, container string) (string, error) {
	w, err := s.runner.find(namespace, pod)
	if err != nil {
		return "", err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	c, ok := w.containers[container]
	if !ok {
		return "", fmt.Errorf("pod %s has no container %q", w.key, container)
	}
	return c.logPath(max(c.begun-1, 0)), nil
}
