// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/e2e/sandbox"
	"github.com/redisha/redisha/e2e/scenes"
	"github.com/redisha/redisha/failover"
)

// killAll kills every Redis within a millisecond, the master last, so that no replica can testify.
func (s *scene) killAll() {
	s.t.Helper()
	for _, pod := range append(s.Replicas(), s.Master()) {
		s.Signal(pod, syscall.SIGKILL)
	}
}

func TestAllKilledAtOnceWithoutDisksBeginsAnewAndSaysSo(t *testing.T) {
	s := begin(t, "all killed at once, no disks", v1alpha1.RedisHASpec{})
	s.killAll()
	entry := s.Promotion(v1alpha1.HistoryFailover, scenes.DeadProcess...)
	s.Announced("FailoverStarted")
	before := s.writers.Acked()
	began := s.acknowledged(time.Now())
	s.Eventually("a hundred more writes", func(*v1alpha1.RedisHA) bool { return s.writers.Acked() > before+100 })
	s.end(before) // nothing is left of what was written before, and everything of what was written since
	if s.row.lost == 0 {
		t.Errorf("memory survived its processes: %s", entry.Message)
	}
	if gap := began.Sub(s.at); gap > time.Minute {
		t.Errorf("it took %s to begin anew", gap)
	}
}

func TestAllKilledAtOnceWithDisksLoseNothing(t *testing.T) {
	s := begin(t, "all killed at once, append-only files", v1alpha1.RedisHASpec{Storage: &v1alpha1.StorageSpec{}})
	s.killAll()
	s.Promotion(v1alpha1.HistoryFailover, scenes.DeadProcess...)
	s.end(0)
}

func TestAnOlderDiskIsNotPreferredAfterAnOutage(t *testing.T) {
	s := begin(t, "all killed at once, one disk older", v1alpha1.RedisHASpec{Storage: &v1alpha1.StorageSpec{}})
	old := s.Replicas()[0]
	// Its link to the master is cut, and it gets nothing any more.
	a, err := bed.Sandbox.PodAddr(s.Key.Namespace, old)
	if err != nil {
		t.Fatal(err)
	}
	b, err := bed.Sandbox.PodAddr(s.Key.Namespace, s.Master())
	if err != nil {
		t.Fatal(err)
	}
	if err := bed.Sandbox.Partition(a, b); err != nil {
		t.Fatal(err)
	}
	keys := s.info(old, "db0")
	time.Sleep(3 * time.Second)
	if now := s.info(old, "db0"); keyCount(now) > keyCount(keys)+2000 {
		t.Fatalf("%s went on replicating: %s became %s", old, keys, now)
	}
	s.killAll()
	if err := bed.Sandbox.HealAll(); err != nil {
		t.Fatal(err)
	}
	entry := s.Promotion(v1alpha1.HistoryFailover, scenes.DeadProcess...)
	if entry.To == old {
		t.Errorf("%s with the older disk was promoted: %s", old, entry.Message)
	}
	s.end(0)
}

func TestTheNewestDiskIsWaitedForAfterAnOutage(t *testing.T) {
	s := begin(t, "all restarted, the newest disk away at first", v1alpha1.RedisHASpec{Storage: &v1alpha1.StorageSpec{}})
	uncordon := s.cordon(sandbox.NodeName(0), sandbox.NodeName(1), sandbox.NodeName(2))
	// The master's pod is replaced by one that finds no node; the replicas have loaded their disks and would be
	// candidates.
	for _, pod := range s.Replicas() {
		s.Signal(pod, syscall.SIGKILL)
	}
	if err := bed.Client.Delete(s.Ctx, s.Pod(s.Master()), client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	s.Refusal(string(failover.ReasonWaitingForData))
	time.Sleep(2 * time.Second)
	if role := s.info(s.Replicas()[0], "role"); role != "slave" {
		t.Errorf("a replica is %q though the newest disk may come back", role)
	}
	uncordon()
	// A cordoned node is a reason to switch over: what began as that, before the masters died, ends as a failover.
	s.Promotion(
		v1alpha1.HistoryFailover,
		append(scenes.DeadProcess, string(failover.DiagnosisMasterPodGone), string(failover.DiagnosisMasterNodeDraining))...)
	s.Reason = string(failover.ReasonWaitingForData)
	s.end(0)
}

// keyCount reads keys=N,expires=….
func keyCount(db string) int {
	n := 0
	for _, digit := range strings.TrimPrefix(strings.SplitN(db, ",", 2)[0], "keys=") {
		n = n*10 + int(digit-'0')
	}
	return n
}
