// SPDX-License-Identifier: Apache-2.0

package redisclient

import (
	"net"
	"os"
	"strings"
	"sync"
	"time"
)

// maxOpening is enough for the one line with which Redis turns a connection away.
const maxOpening = 4 << 10

// watchedConn reads its connection all the time, not only while a command waits for a reply. That is how the end of a
// process is noticed when it happens: a blocked read returns as soon as the kernel sees the FIN or RST.
//
// go-redis gets it through a handle whose Close leaves the socket open, because a connection that timed out is still
// the best witness of what becomes of a hung process. Only shut closes it.
type watchedConn struct {
	net.Conn
	onEnd func(error)
	wake  chan struct{} // holds a token when there may be something to read
	ended chan struct{} // closed when reading has ended

	mu       sync.Mutex
	buf      []byte
	received uint64
	err      error // why reading ended; set once
	deadline time.Time
	shutting bool
	opening  []byte // the first bytes received, up to maxOpening
	bounds   bounds
}

// watch starts reading conn. onEnd is called once, when reading ends for a reason other than shut.
func watch(conn net.Conn, onEnd func(error)) *watchedConn {
	w := &watchedConn{Conn: conn, onEnd: onEnd, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go w.readAll()
	return w
}

func (w *watchedConn) readAll() {
	chunk := make([]byte, 8<<10)
	for {
		n, err := w.Conn.Read(chunk)
		w.mu.Lock()
		if broken := w.bounds.take(chunk[:n]); broken != nil {
			n, err = 0, broken
		}
		w.buf = append(w.buf, chunk[:n]...)
		w.received += uint64(n)
		w.opening = append(w.opening, chunk[:min(n, maxOpening-len(w.opening))]...)
		w.err = err
		quiet := w.shutting
		w.mu.Unlock()
		w.signal()
		if err == nil {
			continue
		}
		close(w.ended)
		if !quiet {
			w.onEnd(err)
		}
		return
	}
}

func (w *watchedConn) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// expect says whether the answer may be long to what is sent next.
func (w *watchedConn) expect(long bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bounds.asked(long)
}

// Read returns what has arrived, waiting until the read deadline. What came before the end is delivered before the end.
func (w *watchedConn) Read(p []byte) (int, error) {
	for {
		w.mu.Lock()
		n, err, deadline := copy(p, w.buf), w.err, w.deadline
		w.buf = w.buf[n:]
		w.mu.Unlock()
		switch {
		case n > 0:
			return n, nil
		case err != nil:
			return 0, err
		}
		if !w.await(deadline) {
			return 0, os.ErrDeadlineExceeded
		}
	}
}

// await returns false if the deadline passed before anything happened. The zero deadline never passes.
func (w *watchedConn) await(deadline time.Time) bool {
	var expired <-chan time.Time
	if !deadline.IsZero() {
		timer := time.NewTimer(time.Until(deadline))
		defer timer.Stop()
		expired = timer.C
	}
	select {
	case <-w.wake:
		return true
	case <-expired:
		return false
	}
}

// SetReadDeadline bounds the following reads; it does not disturb one that is waiting.
func (w *watchedConn) SetReadDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deadline = t
	return nil
}

// SetDeadline bounds the following reads and writes.
func (w *watchedConn) SetDeadline(t time.Time) error {
	_ = w.SetReadDeadline(t)
	return w.Conn.SetWriteDeadline(t)
}

// shut closes the connection without reporting its end.
func (w *watchedConn) shut() {
	w.mu.Lock()
	w.shutting = true
	w.mu.Unlock()
	_ = w.Conn.Close()
}

// farewell returns the error reply with which the peer turned the connection away: one line, unasked, and the end.
// It waits a moment for the end, which is on its way once sending has failed.
func (w *watchedConn) farewell() string {
	select {
	case <-w.ended:
	case <-time.After(farewellWait):
		return ""
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	line, rest, complete := strings.Cut(string(w.opening), "\r\n")
	if text, isError := strings.CutPrefix(line, "-"); isError && complete && rest == "" {
		return text
	}
	return ""
}

const farewellWait = 50 * time.Millisecond

// end returns why the connection is over, by whichever side, or nil; unread bytes can remain.
func (w *watchedConn) end() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil && w.shutting {
		return net.ErrClosed
	}
	return w.err
}

// bytesReceived counts all bytes since the start.
func (w *watchedConn) bytesReceived() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.received
}
