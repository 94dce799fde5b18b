// SPDX-License-Identifier: Apache-2.0

package simulator

import "github.com/redisha/redisha/failover"

// foreignKeys is how many keys another RedisHA holds: more than any schedule writes, so that whoever counts keys
// prefers it.
const foreignKeys = 100_000

// createForeignMaster makes the master of another RedisHA. No operator of this one watches it; a replica of ours gets
// there by a person's mistake, or when an address that it still follows is given out again.
func (w *world) createForeignMaster() {
	p := &pod{w: w, name: "another RedisHA", ordinal: -1, slot: elsewhere, uid: w.id("uid"), ip: "10.9.9.9"}
	s := &server{
		w: w, pod: p, runID: w.id("run"), alive: true, role: failover.RoleMaster, writable: "another operator",
		replid: w.id("lin"), replid2: noReplID, second: -1, backlog: true, offset: foreignKeys * writeBytes, backlogFrom: 1,
		head: &entry{depth: 1, offset: foreignKeys * writeBytes, keys: foreignKeys}, priority: 100,
	}
	p.server, w.foreignMaster = s, p
}

// isForeign reports that a process holds the data of another RedisHA.
func (s *server) isForeign() bool {
	return s.head != nil && s.head.contains(s.w.foreignMaster.server.head)
}

// followForeignMaster points a replica at the master of another RedisHA. Who does that to one that others follow, a
// master that is being switched over, takes the data away from all of them by hand; who does it to a candidate, between
// the look at it and its promotion, from that one.
func (w *world) followForeignMaster(f fault) {
	w.onServer(f.a, func(s *server) {
		if s.hung || s.loading() || s.role == failover.RoleMaster {
			return
		}
		w.note("%s follows %s", s.pod.name, w.foreignMaster.name)
		candidate := w.api.now.progress.Candidate
		w.checks.byHand = w.checks.byHand || len(s.followers) > 0 || candidate != nil && candidate.UID == s.pod.uid
		s.replicaOf(w.foreignMaster.ip, redisPort)
	})
}

// priority is the replica-priority in a pod's redis.conf.
func (c config) priority(ordinal int) int {
	if ordinal == c.preferred {
		return 10
	}
	return 100
}
