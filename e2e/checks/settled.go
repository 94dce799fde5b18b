// SPDX-License-Identifier: Apache-2.0

package checks

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/podstate"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/redisclient"
)

// Settled returns a RedisHA, and what is not well with it: by its status, and by what each Redis itself says, for a
// status may be late or wrong; empty when all is. Info asks a pod's Redis. What is answered belongs to the status that
// was read before if the status is the same afterwards: one that was set back may name a master that there is not, and
// that becomes master in between.
func Settled(
	ctx context.Context, reader client.Reader, key client.ObjectKey, info func(*corev1.Pod) (redisclient.Info, error),
) (rha *v1alpha1.RedisHA, lacking string, err error) {
	rha, pods, again := &v1alpha1.RedisHA{}, &corev1.PodList{}, &v1alpha1.RedisHA{}
	if err := reader.Get(ctx, key, rha); err != nil {
		return rha, "it cannot be read", err
	}
	if problem := lackingInStatus(rha); problem != "" {
		return rha, problem, nil
	}
	selector := client.MatchingLabels(resources.SelectorLabels(key.Name))
	if err := reader.List(ctx, pods, client.InNamespace(key.Namespace), selector); err != nil {
		return rha, "its pods cannot be listed", err
	}
	if problem := lackingInRedis(rha, pods.Items, info); problem != "" {
		return rha, problem, nil
	}
	if err := reader.Get(ctx, key, again); err != nil {
		return rha, "it cannot be read", err
	}
	if problem := lackingInStatus(again); problem != "" {
		return again, problem, nil
	}
	if again.Status.Failover.Epoch != rha.Status.Failover.Epoch ||
		again.Status.Master.NodeRef != rha.Status.Master.NodeRef {
		return again, "its master changed meanwhile", nil
	}
	return again, "", nil
}

// UpToDate reports that, by its status, every pod of a RedisHA is what its present spec wants.
func UpToDate(rha *v1alpha1.RedisHA) bool {
	c := meta.FindStatusCondition(rha.Status.Conditions, v1alpha1.ConditionProgressing)
	return c != nil && c.Reason == v1alpha1.ReasonUpToDate && c.ObservedGeneration == rha.Generation
}

// lackingInStatus returns what is not well with a RedisHA by its status, empty when all is.
func lackingInStatus(rha *v1alpha1.RedisHA) string {
	status, want := &rha.Status, resources.Replicas(rha)
	switch {
	case status.Master == nil:
		return fmt.Sprintf("%d/%d ready, no master yet", status.ReadyReplicas, want)
	case status.Failover == nil || status.Failover.State != v1alpha1.StateStable:
		return fmt.Sprintf("%d/%d ready, master %s, %s", status.ReadyReplicas, want, status.Master.Pod, state(status))
	case status.ReadyReplicas != want || status.ObservedGeneration != rha.Generation:
		return fmt.Sprintf("%d/%d ready, master %s", status.ReadyReplicas, want, status.Master.Pod)
	case !meta.IsStatusConditionTrue(status.Conditions, v1alpha1.ConditionReady):
		return fmt.Sprintf(
			"%d/%d ready, master %s, condition Ready is not true yet", status.ReadyReplicas, want, status.Master.Pod,
		)
	}
	return ""
}

func state(status *v1alpha1.RedisHAStatus) string {
	if status.Failover == nil {
		return "no state yet"
	}
	return string(status.Failover.State)
}

// lackingInRedis returns what is not well with the pods of a RedisHA that is settled by its status; empty when all is.
func lackingInRedis(rha *v1alpha1.RedisHA, pods []corev1.Pod, info func(*corev1.Pod) (redisclient.Info, error)) string {
	if len(pods) != int(resources.Replicas(rha)) {
		return fmt.Sprintf("%d pods", len(pods))
	}
	for i := range pods {
		pod := &pods[i]
		if !podstate.IsReady(pod) || pod.DeletionTimestamp != nil {
			return pod.Name + " is not ready"
		}
		got, err := info(pod)
		if err != nil {
			return fmt.Sprintf("%s does not answer", pod.Name)
		}
		if problem := outOfPlace(pod, rha.Status.Master, got); problem != "" {
			return problem
		}
	}
	return ""
}

func outOfPlace(pod *corev1.Pod, master *v1alpha1.MasterStatus, info redisclient.Info) string {
	if pod.Name == master.Pod {
		if info.Role != redisclient.RoleMaster || string(pod.UID) != master.PodUID {
			return pod.Name + " is not master"
		}
		return ""
	}
	switch {
	case info.Role != redisclient.RoleReplica:
		return pod.Name + " is no replica"
	case info.MasterHost != master.IP || !info.LinkUp || info.SyncInProgress:
		return pod.Name + " does not follow the master yet"
	}
	return ""
}
