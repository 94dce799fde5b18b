// SPDX-License-Identifier: Apache-2.0

package decide

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/redisha/redisha/failover"
)

// foresee is what would come of the loss of the master now.
func (w *world) foresee() Foresight { return Foresee(w.now, w.policy, w.observe(), w.progress) }

// end ends the master's process, as its kubelet reports it; no other comes in its place.
func (w *world) end() {
	name := w.master()
	w.node(name).Exited = true
	w.die(name)
}

func TestCordonedNodesCountAgainstASwitchoverAndNotAgainstAFailover(t *testing.T) {
	w := settled(t, 3)
	for _, n := range w.nodes {
		n.Cordoned = true
	}
	w.pass(2 * time.Second)
	before := w.master()
	if f := w.foresee(); f.Candidate == "" {
		t.Errorf("every node is cordoned, and the failover that would be is called impossible: %+v", f)
	}
	w.end()
	w.pass(2 * time.Second)
	if w.master() == before {
		t.Errorf("and yet no failover came: %s\n%s", w.progress.Message, strings.Join(w.log, "\n"))
	}
}

func TestAVolumeThatMayHoldMoreMakesAFailoverImpossibleBeforeItIsWanted(t *testing.T) {
	w := settled(t, 2)
	w.policy.Persistent = true
	w.write(1000, nil)
	w.remove("r-1")
	w.absent = []failover.AbsentNode{{Name: "r-1", MayHoldData: true}}
	w.pass(2 * time.Second)
	f := w.foresee()
	if f.Candidate != "" || f.Reason != failover.ReasonWaitingForData ||
		!strings.Contains(f.Why, "r-1 may hold newer data") {
		t.Errorf("foreseen: %+v", f)
	}
}

// misfortunes are what may be true of a set when its master is lost; what n is depends on dice.
var misfortunes = []func(w *world, n *failover.Node, dice *rand.Rand){
	func(_ *world, n *failover.Node, _ *rand.Rand) { n.Cordoned = true },
	func(_ *world, n *failover.Node, _ *rand.Rand) { n.NodeGone = true },
	func(_ *world, n *failover.Node, _ *rand.Rand) { n.Outdated = true },
	func(_ *world, n *failover.Node, _ *rand.Rand) { n.Terminating = true },
	func(_ *world, n *failover.Node, _ *rand.Rand) { n.Replication.Priority = 0 },
	func(_ *world, n *failover.Node, _ *rand.Rand) { n.Replication.Loading = true },
	func(_ *world, n *failover.Node, _ *rand.Rand) { n.Replication.Syncing = true },
	func(w *world, n *failover.Node, _ *rand.Rand) { w.hang(n.Name) },
	func(w *world, n *failover.Node, _ *rand.Rand) { w.die(n.Name) },
	func(w *world, n *failover.Node, dice *rand.Rand) { w.restart(n.Name, dice.IntN(2) == 0) },
	func(w *world, n *failover.Node, _ *rand.Rand) { w.remove(n.Name) },
	func(w *world, n *failover.Node, _ *rand.Rand) {
		w.remove(n.Name)
		w.absent = append(w.absent, failover.AbsentNode{Name: n.Name, MayHoldData: true})
	},
	func(w *world, n *failover.Node, _ *rand.Rand) {
		n.Replication.Lineage.Offset = max(0, n.Replication.Lineage.Offset-w.policy.MaxLagBytes-1)
	},
	func(w *world, n *failover.Node, _ *rand.Rand) { w.promoteByHand(n.Name, 10) },
	func(_ *world, n *failover.Node, _ *rand.Rand) { n.MayHoldData = true },
}

// FailoverPossible is what people plan by: it has to be what the core does when the moment comes.
func TestWhatIsForeseenOfTheLossOfTheMasterIsWhatComesOfIt(t *testing.T) {
	outcomes := map[bool]int{}
	for seed := range uint64(500) {
		dice := rand.New(rand.NewPCG(seed, 7))
		w := settled(t, 1+dice.IntN(4))
		w.policy.Persistent = dice.IntN(2) == 0
		if dice.IntN(3) == 0 {
			w.policy.Consistency = failover.ConsistencyStrict
		}
		w.node("r-0").Replication.Keys = 5
		w.write(1<<21, nil)
		w.pass(2 * time.Second)
		for range dice.IntN(4) {
			replicas := slices.DeleteFunc(slices.Clone(w.nodes), func(n *failover.Node) bool { return n.Name == w.master() })
			if len(replicas) > 0 {
				misfortunes[dice.IntN(len(misfortunes))](w, replicas[dice.IntN(len(replicas))], dice)
			}
		}
		if dice.IntN(2) == 0 {
			w.pass(2 * time.Second) // the operator has seen it, and done what it can
		}
		if w.progress.State != failover.StateStable {
			continue // it switches over already
		}
		foreseen := w.foresee()
		promoted := ""
		w.onAction = func(a failover.Action) bool {
			if _, is := a.(failover.Promote); is && promoted == "" {
				promoted = a.Target().Pod
			}
			return true
		}
		w.end()
		w.pass(6 * time.Second) // whoever is waited for has had its time by then
		outcomes[promoted != ""]++
		if promoted != foreseen.Candidate {
			t.Fatalf(
				"seed %d: %q was foreseen (%s: %s), and %q came\n%s", seed, foreseen.Candidate, foreseen.Reason, foreseen.Why,
				promoted, strings.Join(w.log[max(0, len(w.log)-40):], "\n"),
			)
		}
		if foreseen.Candidate == "" && (foreseen.Reason == failover.ReasonNone || foreseen.Why == "") {
			t.Fatalf("seed %d: no candidate, and nothing is said about it: %+v", seed, foreseen)
		}
	}
	t.Log("promoted or not:", outcomes)
	if outcomes[true] < 50 || outcomes[false] < 50 {
		t.Errorf("one-sided: %v", outcomes)
	}
}
