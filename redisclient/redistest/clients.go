// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (s *session) auth(args []string) {
	password := args[len(args)-1]
	switch {
	case len(args) < 2 || len(args) > 3:
		s.peer.WriteError("ERR wrong number of arguments for 'auth' command")
	case len(args) == 2 && s.node.params["requirepass"] == "":
		s.peer.WriteError("ERR AUTH <password> called without any password configured for the default user. " +
			"Are you sure your configuration is correct?")
	case !s.login(args[1:len(args)-1], password):
		s.peer.WriteError("WRONGPASS invalid username-password pair or user is disabled.")
	default:
		s.peer.WriteOK()
	}
}

// login accepts the default user only.
func (s *session) login(user []string, password string) bool {
	want := s.node.params["requirepass"]
	if len(user) > 0 && user[0] != "default" || want != "" && want != password {
		return false
	}
	s.authenticated = true
	return true
}

// hello is HELLO [version [AUTH user password] [SETNAME name]].
func (s *session) hello(args []string) {
	version := 2
	if len(args) > 1 {
		version, _ = strconv.Atoi(args[1])
	}
	if version != 2 && version != 3 {
		s.peer.WriteError("NOPROTO unsupported protocol version")
		return
	}
	name := s.name
	for rest := args[min(2, len(args)):]; len(rest) > 0; {
		switch option := strings.ToUpper(rest[0]); {
		case option == "AUTH" && len(rest) >= 3:
			if !s.login(rest[1:2], rest[2]) {
				s.peer.WriteError("WRONGPASS invalid username-password pair or user is disabled.")
				return
			}
			rest = rest[3:]
		case option == "SETNAME" && len(rest) >= 2:
			name, rest = rest[1], rest[2:]
		default:
			s.peer.WriteError("ERR Syntax error in HELLO option '" + rest[0] + "'")
			return
		}
	}
	if !s.authenticated {
		s.peer.WriteError("NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO " +
			"<proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol " +
			"version at the same time")
		return
	}
	s.name, s.peer.Resp3 = name, version == 3
	s.greet(version)
}

func (s *session) greet(version int) {
	role := "master"
	if s.node.repl.replica {
		role = "replica"
	}
	s.peer.WriteMapLen(7)
	for _, kv := range [][2]string{{"server", "redis"}, {"version", Version}, {"mode", "standalone"}, {"role", role}} {
		s.peer.WriteBulk(kv[0])
		s.peer.WriteBulk(kv[1])
	}
	s.peer.WriteBulk("proto")
	s.peer.WriteInt(version)
	s.peer.WriteBulk("id")
	s.peer.WriteInt(int(s.id))
	s.peer.WriteBulk("modules")
	s.peer.WriteLen(0)
}

func (s *session) quit([]string) {
	s.closing = true
	s.peer.WriteOK()
}

func (s *session) client(args []string) {
	switch sub := sub(args); {
	case sub == "SETNAME" && len(args) == 3:
		s.name = args[2]
		s.peer.WriteOK()
	case sub == "SETINFO", sub == "NO-EVICT", sub == "NO-TOUCH":
		s.peer.WriteOK()
	case sub == "GETNAME":
		s.peer.WriteBulk(s.name)
	case sub == "ID":
		s.peer.WriteInt(int(s.id))
	case sub == "LIST":
		s.peer.WriteBulk(s.node.clientList())
	case sub == "KILL":
		s.clientKill(args[2:])
	case sub == "PAUSE" && len(args) >= 3:
		s.clientPause(args[2:])
	case sub == "UNPAUSE":
		s.node.paused = time.Time{}
		s.node.net.changed.Broadcast()
		s.peer.WriteOK()
	default:
		s.peer.WriteError(fmt.Sprintf("ERR unknown subcommand or wrong number of arguments for '%s'. Try CLIENT HELP.",
			strings.Join(args[1:], " ")))
	}
}

// clientPause is CLIENT PAUSE ms WRITE; the mode ALL is not needed by anyone and not implemented.
func (s *session) clientPause(args []string) {
	ms, err := strconv.Atoi(args[0])
	if err != nil || ms < 0 || len(args) != 2 || !strings.EqualFold(args[1], "WRITE") {
		s.peer.WriteError("ERR CLIENT PAUSE mode must be WRITE")
		return
	}
	d := time.Duration(ms) * time.Millisecond
	if until := time.Now().Add(d); until.After(s.node.paused) {
		s.node.paused = until
	}
	time.AfterFunc(d+time.Millisecond, s.node.net.wake)
	s.peer.WriteOK()
}

// clientKill is CLIENT KILL with the filters ID, TYPE and SKIPME.
func (s *session) clientKill(args []string) {
	filter, ok := parseKillFilter(args)
	if !ok {
		s.peer.WriteError("ERR syntax error")
		return
	}
	killed := 0
	for _, other := range s.node.sessions {
		switch {
		case !filter.matches(other) || (filter.skipMe && other == s):
			continue
		case other == s:
			s.closing = true
		default:
			other.kill()
		}
		killed++
	}
	s.node.net.changed.Broadcast()
	s.peer.WriteInt(killed)
}

type killFilter struct {
	id     int64
	kind   string
	skipMe bool
}

func parseKillFilter(args []string) (killFilter, bool) {
	f := killFilter{skipMe: true}
	for ; len(args) >= 2; args = args[2:] {
		switch strings.ToUpper(args[0]) {
		case "ID":
			f.id, _ = strconv.ParseInt(args[1], 10, 64)
		case "TYPE":
			f.kind = args[1]
		case "SKIPME":
			f.skipMe = strings.EqualFold(args[1], "yes")
		default:
			return f, false
		}
	}
	return f, len(args) == 0
}

func (f killFilter) matches(s *session) bool {
	return (f.id == 0 || f.id == s.id) && (f.kind == "" || f.kind == s.kind())
}

func (s *session) kind() string {
	if s.subscriber {
		return "pubsub"
	}
	return "normal"
}

func (n *Node) clientList() string {
	sessions := make([]*session, 0, len(n.sessions))
	for _, s := range n.sessions {
		sessions = append(sessions, s)
	}
	slices.SortFunc(sessions, func(a, b *session) int { return int(a.id - b.id) })
	var list strings.Builder
	for _, s := range sessions {
		fmt.Fprintf(&list, "id=%d addr=%s laddr=%s name=%s age=%d flags=N db=%d cmd=%s\n",
			s.id, s.conn.RemoteAddr(), n.addr, s.name, int(time.Since(s.since).Seconds()), s.db, s.lastCommand)
	}
	return list.String()
}
