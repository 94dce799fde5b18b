// SPDX-License-Identifier: Apache-2.0

// Package journey looks at the shipped operator with a RedisHA to keep: what it costs when nothing happens, what becomes
// of it when its Lease is lost, and that a Redis that was killed is back in its container. A real Kubernetes API, real
// Redis, real signals. What happens to a RedisHA under load is in e2e/scenarios.
package journey

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/e2e/chaos"
	"github.com/redisha/redisha/e2e/sandbox"
	"github.com/redisha/redisha/e2e/testbed"
)

// bed is shared: each test has RedisHA of its own.
var bed *testbed.Testbed

func TestMain(m *testing.M) {
	sandbox.Enter(testbed.Prepare)
	os.Exit(run(m))
}

func run(m *testing.M) int {
	logs, err := os.MkdirTemp("", "redisha-journey-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	s, err := sandbox.Start(ctx, sandbox.Options{LogDir: filepath.Join(logs, "sandbox"), RestartBackOff: time.Second})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer s.Stop()
	if bed, err = testbed.Up(ctx, s, testbed.Options{LogDir: logs}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer bed.Down()
	status := m.Run()
	if status == 0 {
		_ = os.RemoveAll(logs)
	} else {
		fmt.Fprintln(os.Stderr, "logs of operator, Redis and control plane:", logs)
	}
	return status
}

// bounded is the context of a test that must not take longer than that, on a machine much slower than ours.
func bounded(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// redisHA is a RedisHA under write load.
type redisHA struct {
	t       *testing.T
	key     client.ObjectKey
	object  *v1alpha1.RedisHA // when all was well
	writers *chaos.Writers
}

// apply creates a RedisHA with an empty spec and waits until all is well with it.
func apply(ctx context.Context, t *testing.T, name string) *redisHA {
	t.Helper()
	r := &redisHA{t: t, key: client.ObjectKey{Namespace: "default", Name: name}}
	object := &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{Namespace: r.key.Namespace, Name: r.key.Name}}
	if err := bed.Client.Create(ctx, object); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { // t's context has ended by now
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := bed.Client.Delete(ctx, object); err != nil {
			t.Error(err)
		}
	})
	r.settle(ctx)
	return r
}

func (r *redisHA) settle(ctx context.Context) {
	r.t.Helper()
	var err error
	if r.object, err = bed.WaitSettled(ctx, r.key, nil); err != nil {
		r.t.Fatal(err)
	}
}

func (r *redisHA) master() string { return r.object.Status.Master.Pod }

func (r *redisHA) epoch() int64 { return r.object.Status.Failover.Epoch }

// write begins to write, as an application does that connects to the Service.
func (r *redisHA) write(ctx context.Context) {
	r.t.Helper()
	password, err := bed.Password(ctx, r.key)
	if err != nil {
		r.t.Fatal(err)
	}
	finder, err := chaos.FindService(ctx, bed.Kube, r.key.Namespace, resources.MasterServiceName(r.key.Name))
	if err != nil {
		r.t.Fatal(err)
	}
	r.writers = chaos.Start(chaos.Options{Finder: finder, Password: password, Dial: bed.Clients.DialContext})
	r.t.Cleanup(r.writers.Stop)
	r.waitAcks(ctx, 200)
}

func (r *redisHA) waitAcks(ctx context.Context, n int64) {
	r.t.Helper()
	for want := r.writers.Acked() + n; r.writers.Acked() < want; {
		if _, err := r.writers.WaitAck(ctx, time.Now()); err != nil {
			r.t.Fatal(err)
		}
	}
}

// promoted waits for the promotion after the present epoch, and until all is well again.
func (r *redisHA) promoted(ctx context.Context) v1alpha1.HistoryEntry {
	r.t.Helper()
	before := r.epoch()
	err := sandbox.WaitFor(
		ctx,
		fmt.Sprintf("a promotion after epoch %d", before),
		func(ctx context.Context) (bool, error) {
			object, err := bed.Get(ctx, r.key)
			return err == nil && len(object.Status.History) > 0 && object.Status.History[0].Epoch > before, err
		},
	)
	if err != nil {
		r.t.Fatal(err)
	}
	r.settle(ctx)
	return r.object.Status.History[0]
}
