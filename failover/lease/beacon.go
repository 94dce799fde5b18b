// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"
	"time"
)

// The conversation: the standby says whom it asks for, which it knows from the Lease only, and is told yes or no. After
// a yes the connection is kept. Its end is the end of one of the two processes.
const (
	question = "redisha lease: are you "
	yes      = "redisha lease: yes"
	no       = "redisha lease: no"
	longest  = 512 // bytes of a line
)

const (
	askWithin    = 2 * time.Second // for a question, before the connection is closed
	mostAtBeacon = 64              // connections at the same time
)

// keepAlive tidies up connections whose other end vanished without a word.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 5}

// Beacon is where standbys watch this process: a listener that the kernel closes with it, however it ends.
type Beacon struct {
	listener net.Listener
	slots    chan struct{}
}

// Listen opens the port. Nothing is answered before Serve.
func Listen(address string) (*Beacon, error) {
	listener, err := (&net.ListenConfig{KeepAliveConfig: keepAlive}).Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening for standbys: %w", err)
	}
	return &Beacon{listener: listener, slots: make(chan struct{}, mostAtBeacon)}, nil
}

// Port is the port that was opened.
func (b *Beacon) Port() string {
	_, port, _ := net.SplitHostPort(b.listener.Addr().String())
	return port
}

// Serve answers for identity until ctx ends. It calls lost whenever the connection of a standby ends: that standby may
// take this process for dead from then on. It returns when the port refuses connections, and with an error only when
// the port fails.
func (b *Beacon) Serve(ctx context.Context, identity string, lost func()) error {
	closed := make(chan struct{})
	keep := context.AfterFunc(ctx, func() {
		_ = b.listener.Close()
		close(closed)
	})
	defer func() {
		if !keep() {
			<-closed // Accept ends before the port does
		}
	}()
	for {
		conn, err := b.listener.Accept()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("listening for standbys: %w", err)
		case err != nil: // out of file descriptors, for instance
			time.Sleep(50 * time.Millisecond)
			continue
		}
		select {
		case b.slots <- struct{}{}:
			go b.attend(ctx, conn, identity, lost)
		default:
			_ = conn.Close()
		}
	}
}

// attend keeps one connection.
func (b *Beacon) attend(ctx context.Context, conn net.Conn, identity string, lost func()) {
	defer func() { <-b.slots }()
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	_ = conn.SetDeadline(time.Now().Add(askWithin))
	line, err := readLine(conn)
	if err != nil {
		return
	}
	if line != question+identity {
		_, _ = io.WriteString(conn, no+"\n")
		return
	}
	if _, err := io.WriteString(conn, yes+"\n"); err != nil || conn.SetDeadline(time.Time{}) != nil {
		return
	}
	_, _ = conn.Read(make([]byte, 1)) // nothing more is ever said
	if ctx.Err() == nil {
		lost()
	}
}

func readLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, longest)).ReadString('\n')
	return strings.TrimSuffix(line, "\n"), err
}

// Connection is a standby's to the process of a leader.
type Connection interface {
	// Ended is closed when the connection has ended.
	Ended() <-chan struct{}
	Close()
}

// Peer asks the processes of leaders over TCP.
type Peer struct {
	// Within bounds each question, from dialling to the answer.
	Within time.Duration
}

// Ask asks at the address in the identity for the process of that name. The Connection is there if the answer is Alive;
// it is the caller's to close.
func (p Peer) Ask(ctx context.Context, identity string) (Answer, Connection) {
	ctx, cancel := context.WithTimeout(ctx, p.Within)
	defer cancel()
	conn, err := (&net.Dialer{KeepAliveConfig: keepAlive}).DialContext(ctx, "tcp", Address(identity))
	if errors.Is(err, syscall.ECONNREFUSED) {
		return Refused, nil
	}
	if err != nil {
		return Silent, nil
	}
	deadline, _ := ctx.Deadline()
	_ = conn.SetDeadline(deadline)
	_, err = io.WriteString(conn, question+identity+"\n")
	line := ""
	if err == nil {
		line, err = readLine(conn)
	}
	switch {
	case err != nil: // a process that is ending, a full one, or a line too long to read
		_ = conn.Close()
		return Silent, nil
	case line != yes || conn.SetDeadline(time.Time{}) != nil:
		_ = conn.Close()
		return Other, nil
	}
	c := &connection{conn: conn, ended: make(chan struct{})}
	go c.watch()
	return Alive, c
}

type connection struct {
	conn  net.Conn
	ended chan struct{}
}

func (c *connection) watch() {
	defer close(c.ended)
	_, _ = c.conn.Read(make([]byte, 1))
	_ = c.conn.Close()
}

func (c *connection) Ended() <-chan struct{} { return c.ended }

func (c *connection) Close() { _ = c.conn.Close() }
