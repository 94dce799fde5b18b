// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/e2e/sandbox"
	"github.com/redisha/redisha/e2e/testbed"
)

// wanted is how many processes of the operator there are: one leads, one stands by.
const wanted = 2

// version is which build of the operator a process is of.
type version bool

const (
	todays    version = false
	tomorrows version = true
)

// operators does what the Deployment does in a cluster: it starts a process of the operator for each that has ended.
// One that ended without having been expected to is remembered.
type operators struct {
	bed  *testbed.Testbed
	end  context.CancelFunc
	done sync.WaitGroup

	mu       sync.Mutex
	running  []*testbed.Operator
	next     version         // of which one is started in the place of one that has ended
	doomed   map[string]bool // expected to end
	surprise []string
}

func keepOperators(b *testbed.Testbed) *operators {
	ctx, cancel := context.WithCancel(context.Background())
	o := &operators{bed: b, end: cancel, running: b.Operators(), doomed: map[string]bool{}}
	o.done.Go(func() {
		for ctx.Err() == nil {
			o.replace()
			select {
			case <-ctx.Done():
			case <-time.After(2 * time.Second):
			}
		}
	})
	return o
}

func (o *operators) stop() {
	o.end()
	o.done.Wait()
}

func (o *operators) replace() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.running = slices.DeleteFunc(o.running, func(p *testbed.Operator) bool {
		select {
		case <-p.Exited():
			if !o.doomed[p.Name] {
				o.surprise = append(o.surprise, p.Name+":\n"+p.LogTail())
			}
			return true
		default:
			return false
		}
	})
	for len(o.running) < wanted {
		start := o.bed.StartOperator
		if o.next == tomorrows {
			start = o.bed.StartTomorrowsOperator
		}
		p, err := start()
		if err != nil {
			o.surprise = append(o.surprise, err.Error())
			return
		}
		o.running = append(o.running, p)
	}
}

// surprises returns which operators ended unexpectedly since it was last asked.
func (o *operators) surprises() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := o.surprise
	o.surprise = nil
	return all
}

// all returns the processes that run.
func (o *operators) all() []*testbed.Operator {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.running)
}

// leading waits until one of two operators leads and both are up, so that one can take over.
func (o *operators) leading(ctx context.Context, t *testing.T) *testbed.Operator {
	t.Helper()
	var leader *testbed.Operator
	err := sandbox.WaitFor(ctx, "an operator that leads and one that stands by", func(ctx context.Context) (bool, error) {
		leader = nil
		up := 0
		for _, p := range o.all() {
			leads, err := p.Leads(ctx)
			if err == nil {
				up++
			}
			if leads {
				leader = p
			}
		}
		return leader != nil && up == wanted, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return leader
}

// doom expects the process to end.
func (o *operators) doom(p *testbed.Operator) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.doomed[p.Name] = true
}

// strike ends all processes, and none is started until the function that it returns is called, or the test ends.
func (o *operators) strike(t *testing.T) (back func()) {
	o.mu.Lock()
	for _, p := range o.running {
		o.doomed[p.Name] = true
		p.Kill()
	}
	back = sync.OnceFunc(o.mu.Unlock)
	t.Cleanup(back)
	return back
}

// crashAt makes the leader kill itself as soon as it has persisted the state.
func (o *operators) crashAt(ctx context.Context, t *testing.T, state v1alpha1.FailoverState) *testbed.Operator {
	t.Helper()
	leader := o.leading(ctx, t)
	o.doom(leader)
	if err := leader.CrashAt(string(state)); err != nil {
		t.Fatal(err)
	}
	return leader
}

// rollTo has every process that is started from now on be of a version.
func (o *operators) rollTo(v version) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.next = v
}

// deploy has a process of one version lead, and one of another stand by, as in the middle of a rollout.
func (o *operators) deploy(ctx context.Context, t *testing.T, leads, standsBy version) {
	t.Helper()
	o.rollTo(leads)
	for _, p := range o.all() {
		if version(p.Tomorrows) != leads {
			o.replaceOne(p)
		}
	}
	leader := o.leading(ctx, t)
	o.rollTo(standsBy)
	for _, p := range o.all() {
		if p != leader && version(p.Tomorrows) != standsBy {
			o.replaceOne(p)
		}
	}
	o.leading(ctx, t)
}

func (o *operators) replaceOne(p *testbed.Operator) {
	o.doom(p)
	p.Kill()
}
