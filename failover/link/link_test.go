// SPDX-License-Identifier: Apache-2.0

package link_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/redisha/redisha/failover/link"
	"github.com/redisha/redisha/redisclient"
	"github.com/redisha/redisha/redisclient/redistest"
)

func start(t *testing.T) (*redistest.Node, *link.Link) {
	t.Helper()
	network := redistest.NewNetwork()
	t.Cleanup(network.Close)
	node, err := network.Start(redistest.Config{})
	if err != nil {
		t.Fatal(err)
	}
	l := link.New(redisclient.Options{Addr: node.Addr()}, link.Client)
	t.Cleanup(l.Close)
	return node, l
}

func ask(t *testing.T, l *link.Link) redisclient.Info {
	t.Helper()
	info, err := l.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func promote(ctx context.Context, r link.Redis) error { return r.Promote(ctx) }

func TestAnOrderReachesTheProcessItIsMeantFor(t *testing.T) {
	_, l := start(t)
	if err := l.Do(t.Context(), ask(t, l).RunID, promote); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, l).Role; got != redisclient.RoleMaster {
		t.Errorf("role is %q after the order, want master", got)
	}
}

func TestAnOrderWithoutARunIDReachesWhoeverAnswers(t *testing.T) {
	_, l := start(t)
	if err := l.Do(t.Context(), "", promote); err != nil {
		t.Fatal(err)
	}
	if got := ask(t, l).Role; got != redisclient.RoleMaster {
		t.Errorf("role is %q after the order, want master", got)
	}
}

// The process is replaced after it was last heard and before the order. By then its connection is known to have ended,
// and a client would simply open another one.
func TestAnOrderNeverReachesAProcessStartedMeanwhile(t *testing.T) {
	node, _ := start(t)
	ended := make(chan error, 1)
	l := link.New(redisclient.Options{Addr: node.Addr(), OnEOF: func(err error) { ended <- err }}, link.Client)
	t.Cleanup(l.Close)
	before := ask(t, l).RunID
	if err := node.Restart(redistest.KeepNothing); err != nil {
		t.Fatal(err)
	}
	<-ended
	if err := l.Do(t.Context(), before, promote); !errors.Is(err, link.ErrConnectionLost) {
		t.Errorf("order to a process that is gone: %v, want ErrConnectionLost", err)
	}
	after := ask(t, l)
	if after.RunID == before || after.Role != redisclient.RoleReplica {
		t.Errorf("the new process is %s (same: %v), want an untouched replica", after.Role, after.RunID == before)
	}
}

func TestAnOrderForAnotherIncarnationIsNotBegun(t *testing.T) {
	node, l := start(t)
	before := ask(t, l).RunID
	if err := node.Restart(redistest.KeepNothing); err != nil {
		t.Fatal(err)
	}
	ask(t, l)
	begun := false
	err := l.Do(t.Context(), before, func(context.Context, link.Redis) error { begun = true; return nil })
	if !errors.Is(err, link.ErrOtherIncarnation) || begun {
		t.Errorf("got %v (begun: %v), want ErrOtherIncarnation and no order", err, begun)
	}
}

func TestNoProbeUsesTheConnectionDuringAnOrder(t *testing.T) {
	_, l := start(t)
	err := l.Do(t.Context(), "", func(ctx context.Context, _ link.Redis) error {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		defer cancel()
		_, err := l.Info(ctx)
		if redisclient.Classify(err) != redisclient.ClassTimeout {
			t.Errorf("a probe during an order: %v, want a timeout", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	ask(t, l)
}

// panicky is a client that an answer makes panic, once it was asked.
type panicky struct {
	link.Redis
	closed *int
}

func (p panicky) Info(context.Context) (redisclient.Info, error) {
	panic("makeslice: len out of range")
}
func (p panicky) Close() { *p.closed++ }

func TestAfterAPanicTheNextCallGetsAnotherClient(t *testing.T) {
	dialled, closed := 0, 0
	l := link.New(
		redisclient.Options{},
		func(redisclient.Options) link.Redis { dialled++; return panicky{closed: &closed} },
	)
	for range 2 {
		func() {
			defer func() {
				if recover() == nil {
					t.Error("the panic was swallowed")
				}
			}()
			_ = l.Do(t.Context(), "", func(context.Context, link.Redis) error { return nil })
		}()
	}
	if dialled != 3 || closed != 2 {
		t.Errorf("%d clients were made and %d closed, want 3 and 2", dialled, closed)
	}
	l.Close()
	if closed != 3 {
		t.Error("the last client is not closed")
	}
}
