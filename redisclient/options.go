// SPDX-License-Identifier: Apache-2.0

package redisclient

import (
	"context"
	"crypto/tls"
	"net"
	"time"
)

// Defaults of the optional durations in [Options]. Both are far above what a healthy Redis needs on a cluster's
// network and at or below the second that a command changing a Redis may take at most.
const (
	DefaultDialTimeout = 500 * time.Millisecond
	DefaultTimeout     = time.Second
)

// Options says how to reach one Redis process. Only Addr is required.
type Options struct {
	// Addr is host:port, a pod's address and not a Service's: every command is meant for one process.
	Addr string

	// Credentials returns those in force, and after them what is tried in turn where Redis refuses them: while users and
	// passwords change, a process may know the one or the other. It is asked at every dial, so that what was changed is
	// used by the next connection; an established one stays authenticated, which is what Redis does as well. Nothing is
	// shown where it returns none.
	Credentials func() []Credentials

	// TLS, when set, encrypts the connection. It is asked at every dial, as Credentials are; nothing is sent while it
	// returns nil, which is [ErrNoCertificate]. The ServerName defaults to Addr's host.
	TLS func() *tls.Config

	// DialTimeout bounds connecting including the TLS handshake; Timeout bounds a whole call, from waiting for the
	// connection to the last byte of the reply. A context that ends earlier wins. Zero means the default.
	DialTimeout, Timeout time.Duration

	// Name is set by CLIENT SETNAME, so that a successor can find and cut this process's connections
	// (see [Client.KillOperatorConnections]). No spaces.
	Name string

	// LocalAddr is the source IP to dial from; empty leaves it to the kernel.
	LocalAddr string

	// OnConnect is called when a TCP connection was made, before a word was said on it.
	OnConnect func()

	// OnEOF is called, on a goroutine of its own, when the connection is closed or reset by the other side after
	// an answer, or while one is overdue (the death of a hung process). It is not called for silence itself, for a
	// connection turned away at once, nor for one this client closed.
	OnEOF func(error)

	// Dialer replaces the TCP dial, for tests and tunnels. TLS, when set, is put on top of what it returns.
	Dialer func(ctx context.Context, network, addr string) (net.Conn, error)
}

func (o Options) withDefaults() Options {
	if o.DialTimeout <= 0 {
		o.DialTimeout = DefaultDialTimeout
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.OnConnect == nil {
		o.OnConnect = func() {}
	}
	if o.Dialer == nil {
		o.Dialer = tcpDialer(o.LocalAddr)
	}
	return o
}

// credentials are what is shown and tried, one at least.
func (o Options) credentials() []Credentials {
	if o.Credentials != nil {
		if all := o.Credentials(); len(all) > 0 {
			return all
		}
	}
	return []Credentials{{}}
}

func tcpDialer(localAddr string) func(context.Context, string, string) (net.Conn, error) {
	d := &net.Dialer{
		// Keepalive only tidies up connections whose peer vanished without a word; detection does not wait for it.
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: 2 * time.Second, Count: 5},
	}
	if ip := net.ParseIP(localAddr); ip != nil {
		d.LocalAddr = &net.TCPAddr{IP: ip}
	}
	return d.DialContext
}
