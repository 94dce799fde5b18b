// SPDX-License-Identifier: Apache-2.0

package executor_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/executor"
	"github.com/redisha/redisha/failover/link"
)

func TestASwitchoverLosesNoAcknowledgedWrite(t *testing.T) {
	f := newFleet(t)
	w := f.write(4)
	f.until("writes flow", func() bool { return w.count() > 1000 })
	f.redis[1].Signal(t, syscall.SIGSTOP) // so that there is something to catch up with
	behind := w.count()
	f.until("the candidate is behind", func() bool { return w.count() > behind+1000 })
	time.AfterFunc(50*time.Millisecond, func() { f.redis[1].Signal(t, syscall.SIGCONT) })
	f.do(failover.Drain{Master: f.ref(0), Candidate: f.ref(1), Within: 3 * time.Second})
	f.do(failover.Promote{Node: f.ref(1), MinReplicas: 0})
	if r := f.node(1).Replication; r.Role != failover.RoleMaster {
		t.Fatalf("the candidate is %+v right after its promotion", r)
	}
	f.do(failover.Follow{Node: f.ref(0), Master: f.ref(1)})
	f.do(failover.Follow{Node: f.ref(2), Master: f.ref(1)})
	f.do(failover.CutClients{Node: f.ref(0)})
	w.stop()
	if cut := f.node(0).Cut; cut.First.IsZero() || cut.Hit.IsZero() {
		t.Errorf("clients are said to be cut: %+v", cut)
	}
	lost := w.missingFrom(f.redis[1])
	t.Logf("%d writes acknowledged, %d lost", w.count(), lost)
	if lost > 0 {
		t.Errorf("%d acknowledged writes are lost", lost)
	}
	f.until("the old master is attached again", func() bool { return f.node(0).Replication.LinkUp })
}

func TestASwitchoverToAReplicaThatCannotFollowLeavesTheMasterWritable(t *testing.T) {
	f := newFleet(t)
	f.redis[1].Signal(t, syscall.SIGSTOP)
	defer f.redis[1].Signal(t, syscall.SIGCONT)
	err := f.try(failover.Drain{Master: f.ref(0), Candidate: f.ref(1), Within: 200 * time.Millisecond})
	if !errors.Is(err, executor.ErrCannotCatchUp) {
		t.Errorf("got %v, want ErrCannotCatchUp", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second) // the pause itself would last 2.2 s
	defer cancel()
	if err := f.redis[0].client().Set(ctx, "k", 1, 0).Err(); err != nil {
		t.Errorf("a write after the drain was given up: %v", err)
	}
}

func TestAKilledMasterIsAFactWithWitnesses(t *testing.T) {
	f := newFleet(t)
	began := time.Now()
	f.redis[0].Kill()
	f.until("it is refused", func() bool { return f.node(0).Contact == failover.ContactRefused })
	refused := time.Since(began)
	f.until("a witness testifies", func() bool {
		n := f.node(1)
		return n.Answers() && !n.Replication.LinkUp && !n.SampledAt.Before(f.node(0).ContactSince)
	})
	t.Logf(
		"refused after %v, witnessed after %v", refused.Round(time.Microsecond), time.Since(began).Round(time.Microsecond),
	)
}

func TestAHungMasterIsSilentUntilItWakes(t *testing.T) {
	f := newFleet(t)
	f.redis[0].Signal(t, syscall.SIGSTOP)
	f.until("it is silent", func() bool { return f.node(0).Contact == failover.ContactSilent })
	began := time.Now()
	if err := f.try(failover.Detach{Node: f.ref(0), Quieten: true, Within: failover.QuietenWithin}); err == nil {
		t.Error("a hung master let itself be detached")
	}
	if took := time.Since(began); took > patience/2 {
		t.Errorf("detaching a hung master took %v", took)
	}
	f.redis[0].Signal(t, syscall.SIGCONT)
	f.until("it answers again", func() bool { return f.node(0).Contact == failover.ContactAnswering })
}

func TestARestartedProcessIsSeenAndLeftAlone(t *testing.T) {
	f := newFleet(t)
	old := f.ref(0)
	f.redis[0].Kill()
	if err := f.redis[0].start(); err != nil {
		t.Fatal(err)
	}
	err := f.try(failover.Promote{Node: old})
	if err == nil {
		t.Error("an order for the process that was killed was carried out")
	}
	f.until(
		"the new process is sampled",
		func() bool { n := f.node(0); return n.Answers() && n.Replication.RunID != old.RunID },
	)
	if r := f.node(0).Replication; !r.Fenced() {
		t.Errorf("the new process is %+v, want fenced", r)
	}
	if err := f.try(failover.Promote{Node: old}); !errors.Is(err, link.ErrOtherIncarnation) {
		t.Errorf("got %v, want ErrOtherIncarnation", err)
	}
}

func TestDetachedReplicasKeepTheirOffsets(t *testing.T) {
	f := newFleet(t)
	w := f.write(2)
	f.until("writes flow", func() bool { return w.count() > 100 })
	results := f.executor.Execute(t.Context(), key, executor.Master{Port: f.port}, []failover.Action{
		failover.Detach{Node: f.ref(1), Within: failover.DetachWithin},
		failover.Detach{Node: f.ref(2), Within: failover.DetachWithin},
	})
	frozen := f.node(1)
	if results[0].Err != nil || results[1].Err != nil || !frozen.Answers() || !frozen.Replication.Fenced() {
		t.Fatalf("results %+v, node %+v", results, frozen)
	}
	before := w.count()
	f.until("the master writes on", func() bool { return w.count() > before+100 })
	w.stop()
	f.prober.Refresh(t.Context(), key)
	if got := f.node(1).Replication.Lineage.Offset; got != frozen.Replication.Lineage.Offset {
		t.Errorf("offset moved from %d to %d", frozen.Replication.Lineage.Offset, got)
	}
}

// A client that dials the address again at once, as one behind a lagging Service does, is cut again.
func TestClientsThatComeBackAtOnceAreCutAgain(t *testing.T) {
	f := newFleet(t)
	client := f.redis[0].client()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var connections sync.Map // by CLIENT ID
	var looping sync.WaitGroup
	looping.Go(func() {
		for ctx.Err() == nil {
			if id, err := client.ClientID(ctx).Result(); err == nil {
				connections.Store(id, true)
			}
		}
	})
	count := func() (n int) {
		connections.Range(func(any, any) bool { n++; return true })
		return n
	}
	f.until("the client is connected", func() bool { return count() == 1 })
	for range 3 {
		before := count()
		f.do(failover.CutClients{Node: f.ref(0)})
		f.until("the client is connected anew", func() bool { return count() > before })
	}
	cancel()
	looping.Wait()
	if got := count(); got < 3 {
		t.Errorf("the client used %d connections, want a new one each time it was cut", got)
	}
}

// value is large, so that a replica that lags has more to catch up with than its socket's buffers hold.
var value = strings.Repeat("x", 16<<10)

// writers set numbered keys on the first master, each until it fails or is stopped.
type writers struct {
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu           sync.Mutex
	acknowledged []string
}

func (f *fleet) write(n int) *writers {
	ctx, cancel := context.WithCancel(f.t.Context())
	w := &writers{cancel: cancel}
	f.t.Cleanup(w.stop)
	for i := range n {
		client := f.redis[0].client()
		w.done.Go(func() { w.run(ctx, client, i) })
	}
	return w
}

func (w *writers) run(ctx context.Context, client *redis.Client, id int) {
	for i := 0; ctx.Err() == nil; i++ {
		name := fmt.Sprintf("w%d:%d", id, i)
		if client.Set(ctx, name, value, 0).Err() != nil {
			return
		}
		w.mu.Lock()
		w.acknowledged = append(w.acknowledged, name)
		w.mu.Unlock()
	}
}

func (w *writers) stop() {
	w.cancel()
	w.done.Wait()
}

func (w *writers) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.acknowledged)
}

// missingFrom counts the acknowledged writes that p does not have.
func (w *writers) missingFrom(p *process) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	found, err := p.client().Exists(p.t.Context(), w.acknowledged...).Result()
	if err != nil {
		p.t.Fatal(err)
	}
	return len(w.acknowledged) - int(found)
}
