package redisclient

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// maxBuffered bounds what a peer can make us hold. The largest reply we ask for is CLIENT LIST, some 300 bytes a client.
const maxBuffered = 64 << 20

var errTooMuch = errors.New("peer sent more than it was asked for")

// watchedConn reads its connection all the time, not only while a command waits for a reply. That is how the end of a
// process is noticed when it happens: a blocked read returns as soon as the kernel sees the FIN or RST.
//
// go-redis gets it through a handle whose Close leaves the socket open, because a connection that timed out is still
// the best witness of what becomes of a hung process. Only shut closes it.
type watchedConn struct {
	net.Conn
	onEnd func(error)
	wake  chan struct{} // holds a token when there may be something to read

	mu       sync.Mutex
	buf      []byte
	received uint64
	err      error // why reading ended; set once
	deadline time.Time
	shutting bool
}

// watch starts reading conn. onEnd is called once, when reading ends for a reason other than shut.
func watch(conn net.Conn, onEnd func(error)) *watchedConn {
	w := &watchedConn{Conn: conn, onEnd: onEnd, wake: make(chan struct{}, 1)}
	go w.readAll()
	return w
}

func (w *watchedConn) readAll() {
	chunk := make([]byte, 8<<10)
	for {
		n, err := w.Conn.Read(chunk)
		w.mu.Lock()
		w.buf = append(w.buf, chunk[:n]...)
		w.received += uint64(n)
		if err == nil && len(w.buf) > maxBuffered {
			err = errTooMuch
		}
		w.err = err
		quiet := w.shutting
		w.mu.Unlock()
		w.signal()
		if err == nil {
			continue
		}
		_ = w.Conn.Close()
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

// Write sends p. If the peer has already said something and left, as Redis does when it has too many clients, its
// words explain the failure better than the broken pipe: the write then seems to succeed and the read tells.
func (w *watchedConn) Write(p []byte) (int, error) {
	n, err := w.Conn.Write(p)
	if err == nil {
		return n, nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.buf) > 0 {
		return len(p), nil
	}
	return n, err
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

// hasEnded reports whether the connection is over, by whichever side; unread bytes can remain.
func (w *watchedConn) hasEnded() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err != nil || w.shutting
}

// bytesReceived counts all bytes since the start.
func (w *watchedConn) bytesReceived() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.received
}
