// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"
)

// servicePort is one address of a Service that is listened on.
type servicePort struct {
	listener net.Listener
	faults   *faults

	mu       sync.Mutex
	backends []netip.AddrPort
}

func (s *servicePort) setBackends(backends []netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.backends = backends
}

// close ends listening. Connections stay.
func (s *servicePort) close() { s.listener.Close() }

func (s *servicePort) serve() {
	for {
		conn, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		go s.lead(conn.(*net.TCPConn))
	}
}

func (s *servicePort) pick() netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.backends[rand.IntN(len(s.backends))]
}

// dialTimeout is about as long as a client's kernel would send SYNs to a backend that does not answer.
const dialTimeout = 2 * time.Minute

func (s *servicePort) lead(client *net.TCPConn) {
	defer client.Close()
	backend := s.pick()
	source := client.RemoteAddr().(*net.TCPAddr).AddrPort().Addr().Unmap()
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	// Through a kube-proxy the client's own packets would be lost: it must notice a partition in the same way here.
	if !s.passage(ctx, source, backend.Addr()) {
		return
	}
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: proxyAddr.AsSlice()}}
	conn, err := dialer.DialContext(ctx, "tcp", backend.String())
	if err != nil {
		_ = client.SetLinger(0) // a reset, the next best thing to a refused connection
		return
	}
	server := conn.(*net.TCPConn)
	defer server.Close()
	var both sync.WaitGroup
	both.Go(func() { s.pump(server, client, source, backend.Addr()) })
	both.Go(func() { s.pump(client, server, backend.Addr(), source) })
	both.Wait()
}

// passage waits until packets get through both ways, as retransmissions would.
func (s *servicePort) passage(ctx context.Context, a, b netip.Addr) bool {
	for {
		there, changed := s.faults.passes(a, b)
		back, _ := s.faults.passes(b, a)
		if there && back {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// pump carries bytes one way and passes on how the sender ended: an end of file as such, anything else as a reset.
func (s *servicePort) pump(to, from *net.TCPConn, source, destination netip.Addr) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 || err != nil {
			if !s.passage(context.Background(), source, destination) {
				return
			}
		}
		if n > 0 {
			if _, err := to.Write(buffer[:n]); err != nil {
				reset(from, to)
				return
			}
		}
		if errors.Is(err, io.EOF) {
			_ = to.CloseWrite()
			return
		}
		if err != nil {
			reset(from, to)
			return
		}
	}
}

func reset(connections ...*net.TCPConn) {
	for _, c := range connections {
		_ = c.SetLinger(0)
		c.Close()
	}
}
