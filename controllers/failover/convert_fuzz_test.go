// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/decide"
)

// FuzzProgressOfAnyStatusIsDecidedOnWithoutHarm: whatever was written into a status, it is read, decided on and written
// again, the epoch does not go back, and nothing is done or left undone without a word.
func FuzzProgressOfAnyStatusIsDecidedOnWithoutHarm(f *testing.F) {
	var status v1alpha1.RedisHAStatus
	writeProgress(&status, wholeProgress())
	raw, err := json.Marshal(status)
	if err != nil {
		f.Fatal(err)
	}
	for shape := range uint64(4) {
		f.Add(raw, shape)
	}
	f.Add([]byte(`{}`), uint64(0))
	f.Add([]byte(`{"failover":{"state":"FromTheFuture","epoch":-1},"nodes":[{"pod":"x"}]}`), uint64(1))
	f.Fuzz(func(t *testing.T, raw []byte, shape uint64) {
		var status v1alpha1.RedisHAStatus
		if json.Unmarshal(raw, &status) != nil {
			return
		}
		p := progressOf(&status)
		now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		for range 4 {
			d := decide.Decide(now, fuzzedPolicy(shape), fuzzedObservation(now, p, shape), p, nil)
			if d.Next.Epoch < p.Epoch {
				t.Errorf("the epoch went from %d to %d", p.Epoch, d.Next.Epoch)
			}
			if d.Message == "" && d.Next.State == p.State {
				t.Errorf("a decision without a message in state %q", p.State)
			}
			p = stored(t, d.Next)
			now = now.Add(time.Second)
			shape = shape>>3 | shape<<61
		}
	})
}

// stored is what a progress is after it went through the API server.
func stored(t *testing.T, p failover.Progress) failover.Progress {
	t.Helper()
	var written, read v1alpha1.RedisHAStatus
	writeProgress(&written, p)
	raw, err := json.Marshal(written)
	if err != nil {
		t.Skip("an instant that JSON does not know")
	}
	if err := json.Unmarshal(raw, &read); err != nil {
		t.Fatalf("what was written cannot be read: %v\n%s", err, raw)
	}
	again := progressOf(&read)
	micros := cmp.Comparer(
		func(a, b time.Time) bool { return a.Truncate(time.Microsecond).Equal(b.Truncate(time.Microsecond)) },
	)
	if diff := cmp.Diff(p, again, micros, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("not the same after it was stored:\n%s", diff)
	}
	return again
}

func fuzzedPolicy(shape uint64) failover.Policy {
	p := failover.Policy{
		Mode:        failover.ModeAutomatic,
		Replicas:    3,
		DownAfter:   time.Second,
		Cooldown:    time.Second,
		MaxLagBytes: 1 << 20,
		Persistent:  shape&1 != 0,
	}
	if shape&2 != 0 {
		p.Consistency = failover.ConsistencyStrict
	}
	return p
}

// fuzzedObservation shows the nodes that the progress names, each in a way that a part of shape says.
func fuzzedObservation(now time.Time, p failover.Progress, shape uint64) failover.Observation {
	obs := failover.Observation{}
	refs := make([]failover.NodeRef, 0, len(p.Nodes)+3)
	for _, k := range p.Nodes[:min(len(p.Nodes), 6)] {
		refs = append(refs, k.NodeRef)
	}
	if p.Master != nil {
		refs = append(refs, p.Master.NodeRef)
		obs.Published = failover.Published{Pod: p.Master.Pod, UID: p.Master.UID, IP: p.Master.IP, Epoch: p.Master.Epoch}
	}
	for _, ref := range []*failover.NodeRef{p.OldMaster, p.Candidate} {
		if ref != nil {
			refs = append(refs, *ref)
		}
	}
	seen := map[string]bool{}
	for i, ref := range refs {
		if seen[ref.UID] {
			continue
		}
		seen[ref.UID] = true
		obs.Nodes = append(obs.Nodes, fuzzedNode(now, ref, p, i, shape>>(7*i)))
	}
	return obs
}

func fuzzedNode(now time.Time, ref failover.NodeRef, p failover.Progress, ordinal int, shape uint64) failover.Node {
	contacts := []failover.Contact{
		failover.ContactAnswering,
		failover.ContactAnswering,
		failover.ContactRefused,
		failover.ContactSilent,
	}
	n := failover.Node{
		Name:     ref.Pod,
		UID:      ref.UID,
		IP:       ref.IP,
		Ordinal:  ordinal,
		PodFacts: failover.PodFacts{Terminating: shape&64 != 0, MayHoldData: shape&32 != 0},
		RedisFacts: failover.RedisFacts{
			Contact:      contacts[shape&3],
			ContactSince: now,
			LastAnswer:   now.Add(-time.Minute),
			Sampled:      true,
			SampledAt:    now,
			Replication: failover.Replication{
				RunID:       ref.RunID,
				Role:        failover.RoleReplica,
				MasterHost:  failover.FenceHost,
				MasterPort:  failover.FencePort,
				LastIO:      -1,
				Lineage:     p.Lineage,
				Priority:    100,
				Keys:        int64(shape >> 2 & 3),
				MinReplicas: 1,
			},
		},
	}
	switch shape >> 3 & 3 {
	case 0:
		n.Replication.Role = failover.RoleMaster
	case 1:
		n.Replication.RunID = "another"
	case 2:
		if p.Master != nil {
			n.Replication.MasterHost, n.Replication.MasterPort, n.Replication.LinkUp, n.Replication.Linked = p.Master.IP, 6379, true, true
		}
	}
	return n
}
