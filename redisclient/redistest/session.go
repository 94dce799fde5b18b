// SPDX-License-Identifier: Apache-2.0

package redistest

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2/server"
)

// session is one client connection. What is not guarded by out's lock is guarded by the network's.
type session struct {
	node *Node
	id   int64
	conn net.Conn
	in   *bufio.Reader
	out  *replyBuffer
	peer *server.Peer // speaks to miniredis on behalf of the client

	name          string
	since         time.Time
	db            int
	authenticated bool
	subscriber    bool
	killed        bool
	closing       bool // after the present reply

	queue [][]string // nil: not in MULTI
	dirty bool

	lastCommand string // as CLIENT LIST shows it
}

func newSession(n *Node, conn net.Conn, id int64) *session {
	out := &replyBuffer{conn: conn}
	return &session{
		node: n, id: id, conn: conn, in: bufio.NewReader(conn), out: out, since: time.Now(),
		peer: server.NewPeer(bufio.NewWriter(out)), authenticated: n.params["requirepass"] == "",
	}
}

func (s *session) serve() {
	defer s.end()
	for {
		args, err := ReadCommand(s.in)
		if err != nil {
			return
		}
		s.out.hold()
		s.execute(args)
		if err := s.out.release(); err != nil || s.over() {
			return
		}
	}
}

// execute runs one command, atomically with its replication, once the process is not hung.
func (s *session) execute(args []string) {
	s.node.net.mu.Lock()
	defer s.node.net.mu.Unlock()
	for s.node.hung() && !s.killed {
		s.node.net.changed.Wait()
	}
	if s.killed || len(args) == 0 {
		return
	}
	s.run(strings.ToUpper(args[0]), args)
	s.peer.Flush()
}

func (s *session) over() bool {
	s.node.net.mu.Lock()
	defer s.node.net.mu.Unlock()
	return s.killed || s.closing
}

// kill closes the connection at once. The caller holds the network's lock.
func (s *session) kill() {
	s.killed = true
	_ = s.conn.Close()
}

func (s *session) end() {
	_ = s.conn.Close()
	s.node.net.mu.Lock()
	defer s.node.net.mu.Unlock()
	if s.node.sessions[s.id] == s {
		delete(s.node.sessions, s.id)
	}
	if s.subscriber && s.node.running() {
		// Only unsubscribing makes miniredis forget a subscriber that came without a connection it knows.
		s.dispatch("UNSUBSCRIBE")
		s.dispatch("PUNSUBSCRIBE")
	}
}

func (s *session) dispatch(args ...string) {
	s.node.data.mini.Server().Dispatch(s.peer, args)
	s.peer.Flush()
}

// replyBuffer keeps what is written during a command until the command, with its replication, is done. Messages to a
// subscriber pass at once.
type replyBuffer struct {
	conn net.Conn

	mu      sync.Mutex
	held    bool
	pending bytes.Buffer
}

const writeTimeout = time.Second

func (b *replyBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held {
		return b.pending.Write(p)
	}
	return b.send(p)
}

func (b *replyBuffer) send(p []byte) (int, error) {
	if err := b.conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return 0, err
	}
	return b.conn.Write(p)
}

func (b *replyBuffer) hold() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held = true
}

func (b *replyBuffer) release() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held = false
	if b.pending.Len() == 0 {
		return nil
	}
	_, err := b.send(b.pending.Bytes())
	b.pending.Reset()
	return err
}

// mark returns a position; refusedSince reports whether the reply that begins there is an error.
func (b *replyBuffer) mark() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.pending.Len()
}

func (b *replyBuffer) refusedSince(mark int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.pending.Len() > mark && b.pending.Bytes()[mark] == '-'
}

var errProtocol = errors.New("not a RESP command")

// ReadCommand reads an array of bulk strings, the only form clients use.
func ReadCommand(r *bufio.Reader) ([]string, error) {
	count, err := readHeader(r, '*')
	if err != nil {
		return nil, err
	}
	args := make([]string, 0, min(count, 64))
	for range count {
		size, err := readHeader(r, '$')
		if err != nil {
			return nil, err
		}
		bulk := make([]byte, size+2)
		if _, err := io.ReadFull(r, bulk); err != nil {
			return nil, err
		}
		args = append(args, string(bulk[:size]))
	}
	return args, nil
}

func readHeader(r *bufio.Reader, kind byte) (int, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return 0, err
	}
	if line[0] != kind {
		return 0, errProtocol
	}
	n, err := strconv.Atoi(strings.TrimSpace(line[1:]))
	if err != nil || n < 0 || n > 64<<20 {
		return 0, errProtocol
	}
	return n, nil
}
