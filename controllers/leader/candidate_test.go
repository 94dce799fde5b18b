// SPDX-License-Identifier: Apache-2.0

package leader

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
	"k8s.io/utils/clock"
)

var leases = schema.GroupResource{Group: "coordination.k8s.io", Resource: "leases"}

// storedLease is the Lease, as the API server keeps it.
type storedLease struct {
	mu      sync.Mutex
	record  *resourcelock.LeaderElectionRecord
	version int
	writes  int
	reads   int
}

// leaseLock is a process's lock on it, with the version that it saw last, as resourcelock.LeaseLock keeps it.
type leaseLock struct {
	lease   *storedLease
	name    string
	version int
	frozen  atomic.Int32
}

func (l *leaseLock) Identity() string   { return l.name }
func (l *leaseLock) Describe() string   { return "lease" }
func (l *leaseLock) RecordEvent(string) {}

func (l *leaseLock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	l.lease.mu.Lock()
	defer l.lease.mu.Unlock()
	l.lease.reads++
	if l.lease.record == nil {
		return nil, nil, apierrors.NewNotFound(leases, "lease")
	}
	l.version = l.lease.version
	record := *l.lease.record
	raw, err := json.Marshal(record)
	return &record, raw, err
}

func (l *leaseLock) Create(_ context.Context, record resourcelock.LeaderElectionRecord) error {
	l.lease.mu.Lock()
	defer l.lease.mu.Unlock()
	if l.lease.record != nil {
		return apierrors.NewAlreadyExists(leases, "lease")
	}
	l.write(record)
	return nil
}

func (l *leaseLock) Update(ctx context.Context, record resourcelock.LeaderElectionRecord) error {
	how := frozen(l.frozen.Load())
	if how == hangs || how == wakesLate && record.HolderIdentity == l.name {
		<-ctx.Done()
		return ctx.Err()
	}
	l.lease.mu.Lock()
	defer l.lease.mu.Unlock()
	if l.version != l.lease.version {
		return apierrors.NewConflict(leases, "lease", errors.New("modified"))
	}
	l.write(record)
	return nil
}

func (l *leaseLock) write(record resourcelock.LeaderElectionRecord) {
	l.lease.record = &record
	l.lease.version++
	l.lease.writes++
	l.version = l.lease.version
}

// asked is how often the lease was read and written.
func (l *storedLease) asked() (reads, writes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reads, l.writes
}

func (l *storedLease) holder() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.record.HolderIdentity
}

// wordOf is a Succession that is told the death of a leader.
type wordOf struct {
	mu    sync.Mutex
	death string
	saw   []string
}

func (w *wordOf) Saw(holder string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.saw = append(w.saw, holder)
}

func (w *wordOf) Dead(renewal string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.death == renewal
}

// elector is an operator's process in an election by client-go, with the manager's defaults.
type elector struct {
	*Candidate
	word  *wordOf
	leads chan struct{}
	ends  chan struct{}
	end   context.CancelFunc
}

func stand(t *testing.T, l *storedLease, name string) *elector {
	t.Helper()
	e := &elector{word: &wordOf{}, leads: make(chan struct{}), ends: make(chan struct{})}
	guard := NewGuard(&leaseLock{lease: l, name: name}, 5*time.Second, clock.RealClock{})
	e.Candidate = NewCandidate(guard, 500*time.Millisecond, e.word, clock.RealClock{})
	le, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock:            e.Candidate,
		LeaseDuration:   5 * time.Second,
		RenewDeadline:   3500 * time.Millisecond,
		RetryPeriod:     ElectorTick,
		ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { close(e.leads) },
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	e.end = sync.OnceFunc(func() { cancel(); <-e.ends })
	go func() { le.Run(ctx); close(e.ends) }()
	return e
}

// falls proves the death of whoever holds the lease now.
func (e *elector) falls(l *storedLease) {
	l.mu.Lock()
	word := renewalOf(l.record)
	l.mu.Unlock()
	e.word.mu.Lock()
	e.word.death = word
	e.word.mu.Unlock()
	e.Hurry()
}

func (e *elector) leading() bool {
	synctest.Wait()
	select {
	case <-e.leads:
		return true
	default:
		return false
	}
}

// until returns how long it took for the process to lead.
func (e *elector) until() time.Duration {
	began := time.Now()
	<-e.leads
	return time.Since(began)
}

// frozen is how a leader's process stands still.
type frozen int32

const (
	runs      frozen = iota
	hangs            // it neither renews nor lets go, as a process that is stopped, or dead
	wakesLate        // it does not renew, and wakes when it is too late to, and lets go
)

// inAnElection lets a process lead, and two stand by.
func inAnElection(t *testing.T, test func(t *testing.T, l *storedLease, first, second, third *elector)) {
	synctest.Test(t, func(t *testing.T) {
		l := &storedLease{}
		first := stand(t, l, "first")
		if !first.leading() {
			t.Fatal("the only one does not lead")
		}
		second, third := stand(t, l, "second"), stand(t, l, "third")
		time.Sleep(20 * time.Second)
		if second.leading() || third.leading() || first.Left() <= 0 {
			t.Fatal("a leader that renews its lease was not left alone")
		}
		test(t, l, first, second, third)
		first.end()
		second.end()
		third.end()
	})
}

func (e *elector) freeze(how frozen) { e.Guard.Interface.(*leaseLock).frozen.Store(int32(how)) }

// hangs has the leader not renew its lease any more.
func (e *elector) hangs() {
	e.freeze(hangs)
}

func TestALeaseThatIsOnlySilentIsWaitedFor(t *testing.T) {
	inAnElection(t, func(t *testing.T, l *storedLease, first, second, third *elector) {
		first.hangs()
		time.Sleep(4 * time.Second)
		second.Hurry()
		if second.leading() || third.leading() {
			t.Error("taken before it was over")
		}
		select {
		case <-second.leads:
		case <-third.leads:
		}
	})
}

func TestALeaderThatLearnsLateOfItsSuccessorDoesNotLetTheSuccessorsLeaseGo(t *testing.T) {
	inAnElection(t, func(t *testing.T, l *storedLease, first, second, _ *elector) {
		first.freeze(wakesLate)
		time.Sleep(time.Second)
		second.falls(l)
		second.until()
		<-first.ends
		if l.holder() != "second" {
			t.Errorf("held by %q", l.holder())
		}
	})
}

func TestTheLeaseOfADeadLeaderIsTakenAtOnceByOne(t *testing.T) {
	inAnElection(t, func(t *testing.T, l *storedLease, first, second, third *elector) {
		first.hangs()
		time.Sleep(time.Second)
		second.falls(l)
		third.falls(l)
		began := time.Now()
		select {
		case <-second.leads:
		case <-third.leads:
		}
		if took := time.Since(began); took > 4*ElectorTick {
			t.Errorf("taken after %s", took)
		}
		time.Sleep(2 * time.Second)
		if second.leading() && third.leading() {
			t.Error("both lead")
		}
		if left := second.Left() > 0; left == (third.Left() > 0) {
			t.Errorf("may act: the second %t, the third too", left)
		}
	})
}

// A proof that was wrong costs the leader its lease, and that it knows when it renews it next.
func TestALeaderThatIsTakenForDeadStopsWithItsNextRenewal(t *testing.T) {
	inAnElection(t, func(t *testing.T, l *storedLease, first, second, _ *elector) {
		second.falls(l)
		if took := second.until(); took > 4*ElectorTick {
			t.Errorf("taken after %s", took)
		}
		time.Sleep(time.Second)
		if first.Left() > 0 || second.Left() <= 0 {
			t.Errorf("a second later the deposed one has %s left, its successor %s", first.Left(), second.Left())
		}
		if l.holder() != "second" {
			t.Errorf("held by %s", l.holder())
		}
	})
}

func TestALeaderThatRenewedItsLeaseSinceItsDeathWasProvenKeepsIt(t *testing.T) {
	inAnElection(t, func(t *testing.T, l *storedLease, first, second, _ *elector) {
		l.mu.Lock()
		word := renewalOf(l.record)
		l.mu.Unlock()
		time.Sleep(time.Second)
		second.word.mu.Lock()
		second.word.death = word
		second.word.mu.Unlock()
		second.Hurry()
		time.Sleep(10 * time.Second)
		if second.leading() || first.Left() <= 0 {
			t.Error("deposed by a proof from before its last renewal")
		}
	})
}

func TestALeaseThatIsLetGoIsTakenWhenTheConnectionEnds(t *testing.T) {
	inAnElection(t, func(t *testing.T, l *storedLease, first, second, _ *elector) {
		first.end()
		if l.holder() != "" {
			t.Fatalf("not let go: held by %q", l.holder())
		}
		second.Hurry()
		if took := second.until(); took > 4*ElectorTick {
			t.Errorf("taken after %s", took)
		}
	})
}

func TestALeaderInDoubtHasNoTimeLeftUntilItHasRenewedItsLease(t *testing.T) {
	inAnElection(t, func(t *testing.T, l *storedLease, first, _, _ *elector) {
		_, before := l.asked()
		first.Doubt()
		if first.Left() > 0 {
			t.Errorf("%s left in doubt", first.Left())
		}
		time.Sleep(3 * ElectorTick)
		synctest.Wait()
		if _, writes := l.asked(); first.Left() <= 0 || writes == before {
			t.Errorf("%s left after %d renewals", first.Left(), writes-before)
		}
		first.hangs()
		time.Sleep(time.Second)
		first.Doubt()
		time.Sleep(time.Second)
		if first.Left() > 0 {
			t.Errorf("%s left, and it could not renew its lease", first.Left())
		}
	})
}

func TestTheAPIServerIsAskedNoMoreOftenThanThePeriodSays(t *testing.T) {
	inAnElection(t, func(t *testing.T, l *storedLease, _, _, _ *elector) {
		readsBefore, writesBefore := l.asked()
		time.Sleep(time.Minute)
		reads, writes := l.asked()
		// One leader, two standbys, half a second.
		if reads, writes := reads-readsBefore, writes-writesBefore; reads > 240 || writes > 120 || reads < 150 ||
			writes < 90 {
			t.Errorf("%d reads and %d writes in a minute", reads, writes)
		}
	})
}
