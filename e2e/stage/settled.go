package stage

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/e2e/sandbox"
	"github.com/redisha/redisha/redisclient"
)

// Get reads a RedisHA.
func (g *Stage) Get(ctx context.Context, key client.ObjectKey) (*v1alpha1.RedisHA, error) {
	rha := &v1alpha1.RedisHA{}
	return rha, g.Client.Get(ctx, key, rha)
}

// Password returns the password of a RedisHA's Redis.
func (g *Stage) Password(ctx context.Context, key client.ObjectKey) (string, error) {
	secret := &corev1.Secret{}
	name := client.ObjectKey{Namespace: key.Namespace, Name: resources.MountSecretName(key.Name)}
	if err := g.Client.Get(ctx, name, secret); err != nil {
		return "", err
	}
	return string(secret.Data[resources.PasswordKey]), nil
}

// WaitSettled returns the RedisHA when all is well with it: by its status, and by what each Redis itself says. Meanwhile it
// tells say what is missing, as often as that changes; say may be nil.
func (g *Stage) WaitSettled(ctx context.Context, key client.ObjectKey, say func(string)) (*v1alpha1.RedisHA, error) {
	var rha *v1alpha1.RedisHA
	lacking := "it does not exist"
	err := sandbox.WaitFor(ctx, "all to be well with "+key.String(), func(ctx context.Context) (bool, error) {
		got, err := g.Get(ctx, key)
		if err != nil {
			return false, client.IgnoreNotFound(err)
		}
		before := lacking
		if lacking = g.lacking(ctx, got); lacking != before && say != nil {
			say(lacking)
		}
		rha = got
		return lacking == "", nil
	})
	if err != nil {
		return rha, fmt.Errorf("%w (%s)", err, lacking)
	}
	return rha, nil
}

// lacking returns what is not well, "" when all is.
func (g *Stage) lacking(ctx context.Context, rha *v1alpha1.RedisHA) string {
	status, want := &rha.Status, resources.Replicas(rha)
	switch {
	case status.Master == nil:
		return fmt.Sprintf("%d/%d ready, no master yet", status.ReadyReplicas, want)
	case status.Failover == nil || status.Failover.State != v1alpha1.StateStable:
		return fmt.Sprintf("%d/%d ready, master %s, %s", status.ReadyReplicas, want, status.Master.Pod, state(status))
	case status.ReadyReplicas != want || status.ObservedGeneration != rha.Generation:
		return fmt.Sprintf("%d/%d ready, master %s", status.ReadyReplicas, want, status.Master.Pod)
	case !meta.IsStatusConditionTrue(status.Conditions, v1alpha1.ConditionReady):
		return fmt.Sprintf("%d/%d ready, master %s, condition Ready is not true yet", status.ReadyReplicas, want, status.Master.Pod)
	}
	return g.lackingInRedis(ctx, rha)
}

func state(status *v1alpha1.RedisHAStatus) string {
	if status.Failover == nil {
		return "no state yet"
	}
	return string(status.Failover.State)
}

// lackingInRedis asks every Redis, for a status may be late or wrong.
func (g *Stage) lackingInRedis(ctx context.Context, rha *v1alpha1.RedisHA) string {
	password, err := g.Password(ctx, client.ObjectKeyFromObject(rha))
	if err != nil {
		return "no password: " + err.Error()
	}
	pods := &corev1.PodList{}
	if err := g.Client.List(ctx, pods, client.InNamespace(rha.Namespace), client.MatchingLabels(resources.SelectorLabels(rha.Name))); err != nil {
		return err.Error()
	}
	if len(pods.Items) != int(resources.Replicas(rha)) {
		return fmt.Sprintf("%d pods", len(pods.Items))
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if !podReady(pod) {
			return pod.Name + " is not ready"
		}
		info, err := g.info(ctx, pod.Status.PodIP, password)
		if err != nil {
			return fmt.Sprintf("%s does not answer", pod.Name)
		}
		if problem := outOfPlace(pod, rha.Status.Master, info); problem != "" {
			return problem
		}
	}
	return ""
}

func podReady(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue && pod.DeletionTimestamp == nil
		}
	}
	return false
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

func (g *Stage) info(ctx context.Context, ip, password string) (redisclient.Info, error) {
	redis := redisclient.New(redisclient.Options{
		Addr: net.JoinHostPort(ip, strconv.Itoa(int(resources.RedisPort))), Dialer: g.Clients.DialContext,
		Password: func() string { return password }, Timeout: 500 * time.Millisecond,
	})
	defer redis.Close()
	return redis.Info(ctx)
}
