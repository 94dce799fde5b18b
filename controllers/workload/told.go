// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"slices"
	"time"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/redisclient"
)

// Teller tells a Redis that runs how it is to be. The failover controller has the connections.
type Teller interface {
	Encrypt(ctx context.Context, key string, node failover.NodeRef, want redisclient.Encryption) error
	// SetUsers returns a text that Users returns as well for as long as nothing of them is changed.
	SetUsers(ctx context.Context, key string, node failover.NodeRef, want redisclient.Users) (string, error)
	Users(ctx context.Context, key string, node failover.NodeRef) (string, error)
	SetSettings(
		ctx context.Context, key string, node failover.NodeRef, want []redisclient.Setting,
	) (redisclient.ToldSettings, error)
}

const (
	// secretsEvery is after how long a user's Secret, of spec.tls or spec.auth, is read again: nothing tells of a change.
	secretsEvery = 30 * time.Second
	// tellsAgain is after how long a Redis is told again that has not taken what it was told: as a rule because its
	// kubelet has not updated the volume yet.
	tellsAgain = 3 * time.Second
)

// told is what became of telling the processes of a RedisHA how to be, by the UID of their pods.
type told map[string]taken

// taken is what became of the last try to tell a process.
type taken struct {
	runID, generation string
	err               error
}

// away reports a process that said nothing; nothing is known of it. One that was not asked, because another has taken
// its place or the lease was about to end, is asked again.
func (t taken) away() bool {
	return slices.Contains([]redisclient.Class{
		redisclient.ClassTimeout, redisclient.ClassRefused, redisclient.ClassUnreachable,
	}, redisclient.Classify(t.err))
}

// words are what Redis said against it; empty when it did not say anything.
func (t taken) words() string {
	if t.err == nil || !redisclient.Classify(t.err).Alive() {
		return ""
	}
	return t.err.Error()
}

// has reports a process that has been told of that generation.
func (t told) has(node failover.NodeRef, generation string) bool {
	of := t[node.UID]
	return of.runID == node.RunID && of.generation == generation && of.err == nil
}

// answering reports that every one of them has been told that says anything.
func (t told) answering(nodes []failover.NodeRef, generation string) bool {
	for _, node := range nodes {
		of := t[node.UID]
		if !t.has(node, generation) && (of.runID != node.RunID || of.generation != generation || !of.away()) {
			return false
		}
	}
	return true
}

// tell tells those that have not been told, one after the other: a master may refuse writes without any replica. It
// forgets who is not among them.
func (t *told) tell(nodes []failover.NodeRef, generation string, say func(failover.NodeRef) error) {
	kept := told{}
	for _, node := range nodes {
		if t.has(node, generation) {
			kept[node.UID] = (*t)[node.UID]
			continue
		}
		kept[node.UID] = taken{runID: node.RunID, generation: generation, err: say(node)}
	}
	*t = kept
}
