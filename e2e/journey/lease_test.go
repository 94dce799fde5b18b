package journey

import (
	"context"
	"syscall"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/e2e/sandbox"
	"github.com/redisha/redisha/e2e/stage"
)

// A leader that ends because it lost its lease is kept waiting by the kubelet before it may lead again.
func TestALeaderThatLosesItsLeaseBeginsAnewInPlace(t *testing.T) {
	ctx := bounded(t, 2*time.Minute)
	r := apply(ctx, t, "lease")
	first, err := theStage.Leader(ctx)
	if err != nil {
		t.Fatal(err)
	}
	before := holder(ctx, t)
	signal := func(s syscall.Signal) {
		t.Helper()
		if err := first.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	signal(syscall.SIGSTOP)
	t.Cleanup(func() { _ = first.Signal(syscall.SIGCONT) })
	var second *stage.Operator
	wait(ctx, t, "another leader", func(ctx context.Context) bool {
		second, err = theStage.Leader(ctx)
		return err == nil && second != first
	})
	signal(syscall.SIGCONT)
	wait(ctx, t, "the former leader to stand by", func(ctx context.Context) bool {
		leads, err := first.Leads(ctx)
		return err == nil && !leads
	})
	second.Kill()
	wait(ctx, t, "the former leader to lead again", func(ctx context.Context) bool {
		leader, err := theStage.Leader(ctx)
		return err == nil && leader == first
	})
	if now := holder(ctx, t); now == before {
		t.Errorf("%s leads as if nothing had happened", now)
	}
	select {
	case <-first.Exited():
		t.Errorf("%s ended: %s", first.Name, first.LogTail())
	default:
	}
	if _, err := theStage.StartOperator(); err != nil { // the next to stand by
		t.Fatal(err)
	}
	r.write(ctx)
	old := r.master()
	if err := theStage.Sandbox.Signal(r.key.Namespace, old, resources.RedisContainer, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if entry := r.promoted(ctx); entry.From != old || r.master() == old {
		t.Errorf("master %s after %s was killed; history %+v", r.master(), old, entry)
	}
}

func wait(ctx context.Context, t *testing.T, what string, condition func(context.Context) bool) {
	t.Helper()
	if err := sandbox.WaitFor(ctx, what, func(ctx context.Context) (bool, error) { return condition(ctx), nil }); err != nil {
		t.Fatal(err)
	}
}

// holder is who leads, as the Lease says.
func holder(ctx context.Context, t *testing.T) string {
	t.Helper()
	lease := &coordinationv1.Lease{}
	if err := theStage.Client.Get(ctx, client.ObjectKey{Namespace: stage.Namespace, Name: "redisha-operator"}, lease); err != nil {
		t.Fatal(err)
	}
	if lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}
