// SPDX-License-Identifier: Apache-2.0

package journey

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/e2e/sandbox"
	"github.com/redisha/redisha/e2e/testbed"
)

// anew is in the log of a process that begins anew.
const anew = "beginning anew"

// A leader that ends because it lost its lease is kept waiting by the kubelet before it may lead again.
func TestALeaderThatLosesItsLeaseBeginsAnewInPlace(t *testing.T) {
	ctx := bounded(t, 2*time.Minute)
	r := apply(ctx, t, "lease")
	first, err := bed.Leader(ctx)
	if err != nil {
		t.Fatal(err)
	}
	signal := func(s syscall.Signal) {
		t.Helper()
		if err := first.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	signal(syscall.SIGSTOP)
	t.Cleanup(func() { _ = first.Signal(syscall.SIGCONT) })
	var second *testbed.Operator
	wait(ctx, t, "another leader", func(ctx context.Context) bool {
		second, err = bed.Leader(ctx)
		return err == nil && second != first
	})
	signal(syscall.SIGCONT)
	wait(ctx, t, "the former leader to stand by", func(ctx context.Context) bool {
		leads, err := first.Leads(ctx)
		return err == nil && !leads
	})
	second.Kill()
	wait(ctx, t, "the former leader to lead again", func(ctx context.Context) bool {
		leader, err := bed.Leader(ctx)
		return err == nil && leader == first
	})
	if text := logSince(t, first.LogPath, 0); !strings.Contains(text, anew) {
		t.Errorf("%s leads as if nothing had happened; its log ends:\n%s", first.Name, first.LogTail())
	}
	select {
	case <-first.Exited():
		t.Errorf("%s ended: %s", first.Name, first.LogTail())
	default:
	}
	if _, err := bed.StartOperator(); err != nil { // the next to stand by
		t.Fatal(err)
	}
	r.failsOver(ctx)
}

// While the API server is away no operator can renew the lease, and none can take it.
func TestALeaderThatLosesItsLeaseToNoOtherLeadsOn(t *testing.T) {
	ctx := bounded(t, 2*time.Minute)
	r := apply(ctx, t, "lease-kept")
	leader, err := bed.Leader(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range bed.Operators() {
		if o != leader {
			o.Kill() // it might be quicker
		}
	}
	before := lease(ctx, t)
	since := logSizes(t)[leader.LogPath]
	if err := bed.Sandbox.StopAPIServer(ctx); err != nil {
		t.Fatal(err)
	}
	wait(
		ctx,
		t,
		"the leader to begin anew",
		func(context.Context) bool { return strings.Contains(logSince(t, leader.LogPath, since), anew) },
	)
	if err := bed.Sandbox.StartAPIServer(ctx); err != nil {
		t.Fatal(err)
	}
	wait(ctx, t, "it to lead again", func(ctx context.Context) bool {
		leads, err := leader.Leads(ctx)
		return err == nil && leads
	})
	after := lease(ctx, t)
	if *after.HolderIdentity != *before.HolderIdentity || *after.LeaseTransitions != *before.LeaseTransitions {
		t.Errorf("it waited for its own lease: held by %s after %d transitions, before by %s after %d",
			*after.HolderIdentity, *after.LeaseTransitions, *before.HolderIdentity, *before.LeaseTransitions)
	}
	if _, err := bed.StartOperator(); err != nil { // the next to stand by
		t.Fatal(err)
	}
	r.settle(ctx)
	r.failsOver(ctx)
}

// failsOver kills the master, and looks whether it is replaced.
func (r *redisHA) failsOver(ctx context.Context) {
	r.t.Helper()
	r.write(ctx)
	old := r.master()
	if err := bed.Sandbox.Signal(r.key.Namespace, old, resources.RedisContainer, syscall.SIGKILL); err != nil {
		r.t.Fatal(err)
	}
	if entry := r.promoted(ctx); entry.From != old || r.master() == old {
		r.t.Errorf("master %s after %s was killed; history %+v", r.master(), old, entry)
	}
}

func wait(ctx context.Context, t *testing.T, what string, condition func(context.Context) bool) {
	t.Helper()
	if err := sandbox.WaitFor(
		ctx,
		what,
		func(ctx context.Context) (bool, error) { return condition(ctx), nil },
	); err != nil {
		t.Fatal(err)
	}
}

// lease is who leads, as Kubernetes has it.
func lease(ctx context.Context, t *testing.T) coordinationv1.LeaseSpec {
	t.Helper()
	object := &coordinationv1.Lease{}
	if err := bed.Client.Get(
		ctx, client.ObjectKey{Namespace: testbed.Namespace, Name: "redisha-operator"}, object,
	); err != nil {
		t.Fatal(err)
	}
	if object.Spec.HolderIdentity == nil || object.Spec.LeaseTransitions == nil {
		t.Fatalf("no operator holds the lease: %+v", object.Spec)
	}
	return object.Spec
}
