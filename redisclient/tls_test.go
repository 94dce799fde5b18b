// SPDX-License-Identifier: Apache-2.0

package redisclient_test

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http/httptest"
	"testing"

	"github.com/redisha/redisha/redisclient"
	"github.com/redisha/redisha/redisclient/redistest"
)

func TestTLS(t *testing.T) {
	node := startFake(t, redistest.Config{Password: "secret"})
	addr, roots := terminateTLS(t, node.Addr())
	connect := func(roots *x509.CertPool, ends *eofs) *redisclient.Client {
		c := redisclient.New(redisclient.Options{
			Addr:        addr,
			Credentials: redisclient.Password("secret"),
			TLS:         func() *tls.Config { return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12} },
			Timeout:     patience,
			DialTimeout: patience,
			OnEOF:       ends.add,
		})
		t.Cleanup(c.Close)
		return c
	}

	var ends eofs
	c := connect(roots, &ends)
	if info := mustInfo(t, c); !info.Fenced() {
		t.Errorf("over TLS: %+v", info)
	}
	wantClass(t, connect(x509.NewCertPool(), &eofs{}).Ping(t.Context()), redisclient.ClassAuth)
	node.Kill()
	eventually(t, "OnEOF through TLS", func() bool { return ends.count() == 1 })
}

// terminateTLS forwards TLS connections to a plain address, and returns where and who vouches for it.
func terminateTLS(t *testing.T, target string) (string, *x509.CertPool) {
	t.Helper()
	certs := httptest.NewTLSServer(nil) // the standard library's own test certificate, for 127.0.0.1
	t.Cleanup(certs.Close)
	roots := x509.NewCertPool()
	roots.AddCert(certs.Certificate())
	l, err := tls.Listen(
		"tcp", "127.0.0.1:0", &tls.Config{Certificates: certs.TLS.Certificates, MinVersion: tls.VersionTLS12},
	)
	must(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go forward(conn, target)
		}
	}()
	return l.Addr().String(), roots
}

func forward(conn net.Conn, target string) {
	defer func() { _ = conn.Close() }()
	up, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	go func() {
		_, _ = io.Copy(up, conn)
		_ = up.Close()
	}()
	_, _ = io.Copy(conn, up)
}
