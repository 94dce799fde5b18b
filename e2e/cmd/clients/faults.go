// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/e2e/sandbox"
)

const (
	hangFor   = 15 * time.Second // a stopped master
	frozenFor = 30 * time.Second // a worker; shorter than Kubernetes takes to call it NotReady
)

// fault is something that happens to a master.
type fault struct {
	name    string
	planned bool // nothing acknowledged may be lost
	// inject makes it happen and returns when it is over.
	inject func(ctx context.Context, r *round) error
}

func faults() []fault {
	return []fault{
		{name: "kill", inject: kill},
		{name: "delete", planned: true, inject: deletePod},
		{name: "hang", inject: hang},
		{name: "switchover", planned: true, inject: switchOver},
		{name: "rolling", planned: true, inject: rollOut},
		{name: "frozen", inject: freeze},
		{name: "operator", inject: killOperator},
		{name: "twice", inject: killTwice},
	}
}

// choose returns the faults with these names, all without any.
func choose(names []string) ([]fault, error) {
	all := faults()
	if len(names) == 0 {
		return all, nil
	}
	var chosen []fault
	for _, name := range names {
		i := slices.IndexFunc(all, func(f fault) bool { return f.name == name })
		if i < 0 {
			return nil, fmt.Errorf("no fault is called %q", name)
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

func (r *round) signal(pod string, s syscall.Signal) error {
	return r.sandbox.Signal(key.Namespace, pod, resources.RedisContainer, s)
}

func kill(_ context.Context, r *round) error {
	return r.signal(r.before.Status.Master.Pod, syscall.SIGKILL)
}

func deletePod(ctx context.Context, r *round) error {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: r.before.Status.Master.Pod}}
	return r.bed.Client.Delete(ctx, pod)
}

func hang(ctx context.Context, r *round) error {
	pod := r.before.Status.Master.Pod
	if err := r.signal(pod, syscall.SIGSTOP); err != nil {
		return err
	}
	if err := sandbox.Sleep(ctx, hangFor); err != nil {
		return err
	}
	_ = r.signal(pod, syscall.SIGCONT) // its pod may have been replaced, which ended the hang earlier
	return nil
}

// freeze lets the master's worker stand still.
func freeze(ctx context.Context, r *round) error {
	pod := &corev1.Pod{}
	if err := r.bed.Client.Get(
		ctx, client.ObjectKey{Namespace: key.Namespace, Name: r.before.Status.Master.Pod}, pod,
	); err != nil {
		return err
	}
	if err := r.sandbox.FreezeNode(ctx, pod.Spec.NodeName); err != nil {
		return err
	}
	slept := sandbox.Sleep(ctx, frozenFor)
	return errors.Join(slept, r.sandbox.ThawNode(context.WithoutCancel(ctx), pod.Spec.NodeName))
}

func switchOver(ctx context.Context, r *round) error {
	if err := r.patch(
		ctx,
		fmt.Sprintf(`{"metadata":{"annotations":{%q:"switchover#%d"}}}`, v1alpha1.AnnotationRequest, time.Now().UnixNano()),
	); err != nil {
		return err
	}
	_, err := r.promotion(ctx, r.before.Status.Master.Epoch)
	return err
}

// rollOut has every pod replaced, as a change of the pod template does.
func rollOut(ctx context.Context, r *round) error {
	old, err := r.podUIDs(ctx)
	if err != nil {
		return err
	}
	change := fmt.Sprintf(
		`{"spec":{"podTemplate":{"annotations":{"example.com/restarted":%q}}}}`,
		r.at.Format(time.RFC3339Nano),
	)
	if err := r.patch(ctx, change); err != nil {
		return err
	}
	return sandbox.WaitFor(ctx, "every pod to be replaced", func(ctx context.Context) (bool, error) {
		now, err := r.podUIDs(ctx)
		kept := slices.ContainsFunc(now, func(uid string) bool { return slices.Contains(old, uid) })
		return len(now) == len(old) && !kept, err
	})
}

func (r *round) podUIDs(ctx context.Context) ([]string, error) {
	pods, err := r.bed.PodUIDs(ctx, key)
	return slices.Collect(maps.Values(pods)), err
}

func (r *round) patch(ctx context.Context, text string) error {
	rha := &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}
	return r.bed.Client.Patch(ctx, rha, client.RawPatch("application/merge-patch+json", []byte(text)))
}

// promotion waits until a later epoch than that has a master.
func (r *round) promotion(ctx context.Context, epoch int64) (*v1alpha1.RedisHA, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var rha *v1alpha1.RedisHA
	err := sandbox.WaitFor(ctx, "another master", func(ctx context.Context) (bool, error) {
		var err error
		rha, err = r.bed.Get(ctx, key)
		return err == nil && rha.Status.Master.Epoch > epoch, err
	})
	return rha, err
}

// killTwice kills the new master as soon as it is one.
func killTwice(ctx context.Context, r *round) error {
	if err := kill(ctx, r); err != nil {
		return err
	}
	rha, err := r.promotion(ctx, r.before.Status.Master.Epoch)
	if err != nil {
		return err
	}
	if err := r.signal(rha.Status.Master.Pod, syscall.SIGKILL); err != nil {
		return err
	}
	_, err = r.promotion(ctx, rha.Status.Master.Epoch)
	return err
}

// killOperator lets the leader kill itself right after it has written down whom it will promote: no replica
// is master by then.
func killOperator(ctx context.Context, r *round) error {
	leader, err := r.bed.Leader(ctx)
	if err != nil {
		return err
	}
	if err := leader.CrashAt(string(v1alpha1.StatePromoting)); err != nil {
		return err
	}
	r.at = time.Now()
	if err := kill(ctx, r); err != nil {
		return err
	}
	select {
	case <-leader.Exited():
	case <-time.After(20 * time.Second):
		return errors.New("the leading operator did not come as far as a promotion within 20 s")
	case <-ctx.Done():
		return ctx.Err()
	}
	if _, err := r.promotion(ctx, r.before.Status.Master.Epoch); err != nil {
		return err
	}
	_, err = r.bed.StartOperator()
	return err
}
