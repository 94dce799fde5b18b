// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"
)

// handlers are the commands that miniredis lacks or that must know of replication.
var handlers map[string]func(s *session, args []string)

func init() {
	handlers = map[string]func(*session, []string){
		"AUTH": (*session).auth, "HELLO": (*session).hello, "QUIT": (*session).quit,
		"ACL": (*session).acl, "CLIENT": (*session).client, "CONFIG": (*session).config,
		"INFO": (*session).info, "ROLE": (*session).role,
		"REPLICAOF": (*session).replicaOf, "SLAVEOF": (*session).replicaOf,
		"MULTI": (*session).multi, "EXEC": (*session).exec, "DISCARD": (*session).discard,
		"WAIT": (*session).wait,
	}
}

var (
	withoutAuth  = wordSet("AUTH HELLO QUIT")
	whileLoading = wordSet("AUTH HELLO QUIT ACL CLIENT CONFIG INFO ROLE MULTI EXEC DISCARD SELECT")
	whileStale   = wordSet(
		"AUTH HELLO QUIT ACL CLIENT CONFIG INFO ROLE MULTI EXEC DISCARD SELECT REPLICAOF SLAVEOF PUBLISH",
	)
	unqueued = wordSet("MULTI EXEC DISCARD QUIT")
)

// run executes one command or queues it. The caller holds the network's lock.
func (s *session) run(cmd string, args []string) {
	s.lastCommand = strings.ToLower(cmd)
	if refusal := s.refusal(cmd, args); refusal != "" {
		s.dirty = s.queue != nil
		s.refuse(refusal)
		return
	}
	if s.queue != nil && !unqueued[cmd] {
		s.queue = append(s.queue, args)
		s.peer.WriteInline("QUEUED")
		return
	}
	if s.changesData(cmd) && s.waitForPause() {
		if refusal := s.refusal(cmd, args); refusal != "" {
			s.refuse(refusal) // the node changed its role meanwhile
			return
		}
	}
	if !s.killed {
		s.perform(cmd, args)
	}
}

// perform executes a command that nothing speaks against.
func (s *session) perform(cmd string, args []string) {
	if handler, ok := handlers[cmd]; ok {
		handler(s, args)
		return
	}
	s.peer.Flush()
	mark := s.out.mark()
	s.dispatch(args...)
	refused := s.out.refusedSince(mark)
	switch {
	case refused:
	case writes[cmd]:
		e := newEntry(s.db, args)
		s.node.data.entries = append(s.node.data.entries, e)
		s.node.repl.push(e)
		s.node.feed()
		s.node.net.changed.Broadcast()
	case cmd == "SELECT":
		s.db, _ = strconv.Atoi(args[1])
	case cmd == "SUBSCRIBE" || cmd == "PSUBSCRIBE":
		s.subscriber = true
	}
}

// refuse says why, and counts the refusals of a replica to be written to.
func (s *session) refuse(refusal string) {
	if strings.HasPrefix(refusal, "READONLY ") {
		s.node.refusedWrites++
	}
	s.peer.WriteError(refusal)
}

// acl is ACL CAT write, the only use of it.
func (s *session) acl(args []string) {
	if sub(args) != "CAT" || len(args) != 3 || !strings.EqualFold(args[2], "write") {
		s.peer.WriteError("ERR Unknown ACL cat category")
		return
	}
	s.peer.WriteLen(len(writes))
	for _, cmd := range slices.Sorted(maps.Keys(writes)) {
		s.peer.WriteBulk(strings.ToLower(cmd))
	}
}

// refusal is the first of Redis's reasons not to execute a command, or "".
func (s *session) refusal(cmd string, args []string) string {
	switch {
	case !s.known(cmd):
		return fmt.Sprintf("ERR unknown command '%s', with args beginning with: ", args[0])
	case !s.authenticated && !withoutAuth[cmd]:
		return "NOAUTH Authentication required."
	case writes[cmd] && s.node.writeRefusal() != "":
		return s.node.writeRefusal()
	case s.node.stale() && !whileStale[cmd]:
		return "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."
	case s.node.loading && !whileLoading[cmd]:
		return "LOADING Redis is loading the dataset in memory"
	default:
		return ""
	}
}

// writeRefusal is why the node takes no writes, or "".
func (n *Node) writeRefusal() string {
	switch {
	case n.repl.replica:
		return "READONLY You can't write against a read only replica."
	case n.goodReplicas() < n.number("min-replicas-to-write"):
		return "NOREPLICAS Not enough good replicas to write."
	default:
		return ""
	}
}

// stale reports whether the node is a replica that must not serve what it has.
func (n *Node) stale() bool {
	return n.repl.replica && n.params["replica-serve-stale-data"] == "no" && !n.linkUp()
}

func (s *session) known(cmd string) bool {
	return handlers[cmd] != nil || writes[cmd] || passed[cmd] || s.node.data.mini.IsReadOnlyCommand(cmd)
}

// changesData reports whether CLIENT PAUSE WRITE holds a command back.
func (s *session) changesData(cmd string) bool {
	if cmd != "EXEC" {
		return writes[cmd] || cmd == "PUBLISH"
	}
	return slices.ContainsFunc(s.queue, func(args []string) bool { return writes[strings.ToUpper(args[0])] })
}

// waitForPause waits while writes are paused, and reports whether it had to.
func (s *session) waitForPause() (waited bool) {
	for !s.killed && time.Now().Before(s.node.paused) {
		waited = true
		s.node.net.changed.Wait()
	}
	return waited
}

func (n *Node) number(param string) int {
	v, _ := strconv.Atoi(n.params[param])
	return v
}

func (s *session) replicaOf(args []string) {
	if len(args) != 3 {
		s.peer.WriteError("ERR wrong number of arguments for 'replicaof' command")
		return
	}
	if strings.EqualFold(args[1], "no") && strings.EqualFold(args[2], "one") {
		s.node.replicaOf("", 0)
		s.peer.WriteOK()
		return
	}
	port, err := strconv.Atoi(args[2])
	if err != nil || port < 0 || port > 65535 {
		s.peer.WriteError("ERR Invalid master port")
		return
	}
	s.node.replicaOf(args[1], port)
	s.peer.WriteOK()
}

func (s *session) config(args []string) {
	switch sub := sub(args); {
	case sub == "GET" && len(args) == 3:
		s.configGet(args[2])
	case sub == "SET" && len(args) == 4:
		if _, ok := s.node.params[args[2]]; !ok {
			s.peer.WriteError(fmt.Sprintf("ERR Unknown option or number of arguments for CONFIG SET - '%s'", args[2]))
			return
		}
		s.node.params[args[2]] = args[3]
		s.node.net.settle()
		s.peer.WriteOK()
	default:
		s.peer.WriteError("ERR syntax error")
	}
}

func (s *session) configGet(pattern string) {
	var found []string
	for key := range s.node.params {
		if ok, err := path.Match(pattern, key); ok && err == nil {
			found = append(found, key)
		}
	}
	slices.Sort(found)
	s.peer.WriteMapLen(len(found))
	for _, key := range found {
		s.peer.WriteBulk(key)
		s.peer.WriteBulk(s.node.params[key])
	}
}

func (s *session) multi([]string) {
	if s.queue != nil {
		s.peer.WriteError("ERR MULTI calls can not be nested")
		return
	}
	s.queue, s.dirty = [][]string{}, false
	s.peer.WriteOK()
}

func (s *session) discard([]string) {
	if s.queue == nil {
		s.peer.WriteError("ERR DISCARD without MULTI")
		return
	}
	s.queue = nil
	s.peer.WriteOK()
}

func (s *session) exec([]string) {
	queue, dirty := s.queue, s.dirty
	s.queue, s.dirty = nil, false
	switch {
	case queue == nil:
		s.peer.WriteError("ERR EXEC without MULTI")
		return
	case dirty:
		s.peer.WriteError("EXECABORT Transaction discarded because of previous errors.")
		return
	}
	s.peer.WriteLen(len(queue))
	for _, args := range queue {
		cmd := strings.ToUpper(args[0])
		if refusal := s.refusal(cmd, args); refusal != "" {
			s.refuse(refusal)
			continue
		}
		s.perform(cmd, args)
	}
}

// wait is WAIT numreplicas timeout. Replication being synchronous here, only hindered replicas are waited for.
func (s *session) wait(args []string) {
	if len(args) != 3 || s.node.repl.replica {
		s.peer.WriteError("ERR WAIT cannot be used with replica instances.")
		return
	}
	want, _ := strconv.Atoi(args[1])
	ms, _ := strconv.Atoi(args[2])
	deadline := time.Now().Add(time.Duration(ms) * time.Millisecond)
	timer := time.AfterFunc(time.Until(deadline), s.node.net.wake)
	defer timer.Stop()
	target := s.node.repl.offset
	for s.node.acknowledged(target) < want && !s.killed && (ms == 0 || time.Now().Before(deadline)) {
		s.node.net.changed.Wait()
	}
	s.peer.WriteInt(s.node.acknowledged(target))
}

func (n *Node) acknowledged(offset int64) int {
	count := 0
	for _, other := range n.net.nodes {
		if other.repl.link == n && other.repl.offset >= offset {
			count++
		}
	}
	return count
}

// wake lets everybody who waits look again.
func (w *Network) wake() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.changed.Broadcast()
}

func sub(args []string) string {
	if len(args) < 2 {
		return ""
	}
	return strings.ToUpper(args[1])
}
