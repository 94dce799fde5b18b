// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/util/retry"
)

// FailNode takes a node away as a power cut does: the processes of its pods end at once, their peers are told nothing,
// and nothing reports. The Node is marked as a cluster marks it some time later: Ready is Unknown, and it is tainted as
// unreachable, so that pods leave it in as far as they may. RecoverNode undoes it.
func (s *Sandbox) FailNode(ctx context.Context, name string) error {
	workers, addresses, err := s.runner.failNode(name)
	if err != nil {
		return err
	}
	var errs []error
	for _, addr := range addresses { // first, so that nothing gets out, not even that the connections are closed
		errs = append(errs, s.Isolate(addr))
	}
	for _, w := range workers {
		w.cut()
	}
	return errors.Join(append(errs, s.markNode(ctx, name, false))...)
}

// RecoverNode brings a failed node back, as after a reboot: its pods that still exist start again, as new containers,
// with a new address and with the volumes they had.
func (s *Sandbox) RecoverNode(ctx context.Context, name string) error {
	// The dead must be buried before their pods begin anew.
	err := WaitFor(
		ctx,
		"the processes of "+name+" to end",
		func(context.Context) (bool, error) { return s.runner.isEmpty(name), nil },
	)
	if err != nil {
		return err
	}
	if err := s.markNode(ctx, name, true); err != nil {
		return err
	}
	addresses, err := s.runner.recoverNode(name)
	for _, addr := range addresses {
		err = errors.Join(err, s.Rejoin(addr))
	}
	return err
}

// failNode returns the node's workers and their addresses; there will be no new ones.
func (r *runner) failNode(name string) ([]*worker, []netip.Addr, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, failed := r.failed[name]; failed {
		return nil, nil, fmt.Errorf("node %s has failed already", name)
	}
	workers := r.workersOn(name)
	addresses := []netip.Addr{}
	for _, w := range workers {
		if addr, err := netip.ParseAddr(w.addr()); err == nil {
			addresses = append(addresses, addr)
		}
	}
	r.failed[name] = addresses
	return workers, addresses, nil
}

func (r *runner) isEmpty(node string) bool {
	return len(r.on(node)) == 0
}

// recoverNode lets the node's pods begin again and returns the addresses that they had.
func (r *runner) recoverNode(name string) ([]netip.Addr, error) {
	r.mu.Lock()
	addresses := r.failed[name]
	delete(r.failed, name)
	r.mu.Unlock()
	pods, err := r.pods.List(labels.Everything())
	if err != nil {
		return addresses, err
	}
	for _, pod := range pods {
		if pod.Spec.NodeName == name {
			r.podChanged(pod)
		}
	}
	return addresses, nil
}

// markNode sets the Ready condition and the taints that the node lifecycle controller would.
func (s *Sandbox) markNode(ctx context.Context, name string, ready bool) error {
	nodes := s.runner.client.CoreV1().Nodes()
	return retry.RetryOnConflict(retry.DefaultBackoff, func() error {
		node, err := nodes.Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		taints := node.Spec.Taints
		node.Spec.Taints = nil
		for _, taint := range taints {
			if taint.Key != corev1.TaintNodeUnreachable {
				node.Spec.Taints = append(node.Spec.Taints, taint)
			}
		}
		condition := corev1.NodeCondition{
			Type:    corev1.NodeReady,
			Status:  corev1.ConditionTrue,
			Reason:  "SandboxReady",
			Message: "pods can run",
		}
		if !ready {
			now := metav1.Now()
			for _, effect := range []corev1.TaintEffect{corev1.TaintEffectNoSchedule, corev1.TaintEffectNoExecute} {
				node.Spec.Taints = append(
					node.Spec.Taints, corev1.Taint{Key: corev1.TaintNodeUnreachable, Effect: effect, TimeAdded: &now},
				)
			}
			condition.Status, condition.Reason, condition.Message = corev1.ConditionUnknown, "NodeStatusUnknown", "Kubelet "+
				"stopped posting node status."
		}
		if node, err = nodes.Update(ctx, node, metav1.UpdateOptions{}); err != nil {
			return err
		}
		condition.LastTransitionTime, condition.LastHeartbeatTime = metav1.NewTime(time.Now()), metav1.NewTime(time.Now())
		node.Status.Conditions = []corev1.NodeCondition{condition}
		_, err = nodes.UpdateStatus(ctx, node, metav1.UpdateOptions{})
		return err
	})
}
