// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	"syscall"
	"testing"
	"time"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/failover"
)

// The causes that a master's dead process may have, depending on whose word comes first: its connection's, that of the
// process that took its place, or the kubelet's.
var deadProcess = []string{
	string(
		failover.DiagnosisMasterProcessDead,
	),
	string(failover.DiagnosisMasterRestarted),
	string(failover.DiagnosisMasterExited),
}

// unreplicated bounds what a master that is killed takes with it: writes that were acknowledged and not yet handed to
// the kernel for the replicas. Redis writes both in the same turn of its loop, so it is next to nothing.
const unreplicated = 20

// killed is what has to come of a master's process that is killed.
func killed(t *testing.T, title string, spec v1alpha1.RedisHASpec) {
	s := begin(t, title, spec)
	victim := s.master()
	s.signal(victim, syscall.SIGKILL)
	entry := s.promotion(v1alpha1.HistoryFailover, deadProcess...)
	if entry.From != victim || entry.To == victim {
		t.Errorf("from %s to %s, want away from %s", entry.From, entry.To, victim)
	}
	for _, event := range []string{"FailoverStarted", "MasterPublished", "FailoverFinished"} {
		s.announced(event)
	}
	s.end(unreplicated)
	s.epochs(1)
	if entry := s.history(); s.row.gap > 5*time.Second {
		t.Errorf("no write for %s: %s", s.row.gap, entry)
	}
}

func TestAKilledMasterThatIsBackEmptyAtOnceWipesNoReplica(t *testing.T) {
	killed(t, "master killed, back empty at once", v1alpha1.RedisHASpec{})
}

func TestAKilledMasterThatIsBackWithItsSnapshotIsReplaced(t *testing.T) {
	killed(t, "master killed, back with an old snapshot", v1alpha1.RedisHASpec{
		Storage: &v1alpha1.StorageSpec{}, Config: map[string]v1alpha1.ConfigValue{"appendonly": "no", "save": "1 1"},
	})
}

func TestAKilledMasterThatIsBackWithItsAppendOnlyFileIsReplaced(t *testing.T) {
	killed(t, "master killed, back with its append-only file", v1alpha1.RedisHASpec{Storage: &v1alpha1.StorageSpec{}})
}

func TestAMasterThatHangsForLongIsReplacedAndItsPodDeleted(t *testing.T) {
	s := begin(t, "master hangs for longer than down-after", v1alpha1.RedisHASpec{})
	victim, uid := s.master(), s.before.Status.Master.PodUID
	s.signal(victim, syscall.SIGSTOP)
	s.promotion(v1alpha1.HistoryFailover, string(failover.DiagnosisMasterDown))
	s.announced("MasterSuspected")
	s.eventually("the hung pod to be replaced", func(rha *v1alpha1.RedisHA) bool {
		for _, n := range rha.Status.Nodes {
			if n.Pod == victim {
				return n.PodUID != uid
			}
		}
		return false
	})
	s.end(unreplicated)
	s.epochs(1)
}

func TestAMasterThatHangsForAMomentStaysMaster(t *testing.T) {
	s := begin(t, "master hangs for less than down-after", v1alpha1.RedisHASpec{})
	s.signal(s.master(), syscall.SIGSTOP)
	time.Sleep(1500 * time.Millisecond) // half of the default
	s.signal(s.master(), syscall.SIGCONT)
	s.acknowledged(time.Now())
	s.row.reason = "none"
	s.end(0)
	s.unmoved()
}
