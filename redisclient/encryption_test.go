// SPDX-License-Identifier: Apache-2.0

package redisclient_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/redisha/redisha/redisclient"
	"github.com/redisha/redisha/redisclient/redistest"
)

// pki is an authority, and files that it has signed.
type pki struct {
	t    *testing.T
	dir  string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newPKI(t *testing.T, name string) *pki {
	t.Helper()
	p := &pki{t: t, dir: t.TempDir()}
	var err error
	p.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true,
		NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, p.key.Public(), p.key)
	must(t, err)
	p.cert, err = x509.ParseCertificate(der)
	must(t, err)
	p.write("ca.crt", "CERTIFICATE", der)
	return p
}

// issue writes NAME.crt and NAME.key, for 127.0.0.1, valid until then.
func (p *pki) issue(name string, until time.Time) tls.Certificate {
	p.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(p.t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotAfter: until,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, p.cert, key.Public(), p.key)
	must(p.t, err)
	text, err := x509.MarshalPKCS8PrivateKey(key)
	must(p.t, err)
	p.write(name+".crt", "CERTIFICATE", der)
	p.write(name+".key", "PRIVATE KEY", text)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (p *pki) write(name, kind string, der []byte) {
	p.t.Helper()
	must(p.t, os.WriteFile(p.file(name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
}

func (p *pki) file(name string) string { return filepath.Join(p.dir, name) }

// config is a client's that trusts the authority, with a certificate of its own or without.
func (p *pki) config(own ...tls.Certificate) func() *tls.Config {
	roots := x509.NewCertPool()
	roots.AddCert(p.cert)
	return func() *tls.Config {
		return &tls.Config{RootCAs: roots, Certificates: own, MinVersion: tls.VersionTLS12}
	}
}

func (p *pki) encryption(name string, plain, encrypted int) redisclient.Encryption {
	return redisclient.Encryption{
		PlainPort: plain, TLSPort: encrypted, Certificate: p.file(name + ".crt"), Key: p.file(name + ".key"),
		CA: p.file("ca.crt"), Clients: "no",
	}
}

func clientOf(t *testing.T, port int, config func() *tls.Config) *redisclient.Client {
	t.Helper()
	c := redisclient.New(redisclient.Options{
		Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), TLS: config, Timeout: patience, DialTimeout: patience,
	})
	t.Cleanup(c.Close)
	return c
}

func freePort(t *testing.T) int {
	t.Helper()
	port, err := redistest.FreePort()
	must(t, err)
	return port
}

// ports of a node, the one that takes connections in clear and a free one.
func ports(t *testing.T, n testNode) (plain, encrypted int) {
	t.Helper()
	_, plain = n.HostPort()
	return plain, freePort(t)
}

func TestEncryptionIsTurnedOnRenewedAndTurnedOffWhileRedisRuns(t *testing.T) {
	node := startReal(t, redistest.Config{BootsAsMaster: true})
	plain, encrypted := ports(t, node)
	ca := newPKI(t, "one")
	ca.issue("a", time.Now().Add(time.Hour))
	ca.issue("b", time.Now().Add(time.Hour))
	c := clientOf(t, plain, nil)

	// A certificate that is not there yet changes nothing.
	if _, err := c.Encrypt(t.Context(), ca.encryption("absent", plain, encrypted)); err == nil {
		t.Fatal("took a file that does not exist")
	}
	wantClass(t, clientOf(t, encrypted, ca.config()).Ping(t.Context()), redisclient.ClassRefused)

	both := ca.encryption("a", plain, encrypted)
	encrypt(t, c, both)
	served := func(by string) {
		t.Helper()
		conn, err := tls.Dial("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(encrypted)), ca.config()())
		must(t, err)
		defer func() { _ = conn.Close() }()
		if name := conn.ConnectionState().PeerCertificates[0].Subject.CommonName; name != by {
			t.Errorf("served with certificate %s; want %s", name, by)
		}
	}
	served("a")
	renewed := ca.encryption("b", plain, encrypted)
	encrypt(t, c, renewed)
	served("b")

	// Who came in clear is disconnected when that port is closed, and who came encrypted is not.
	over := clientOf(t, encrypted, ca.config())
	must(t, over.Ping(t.Context()))
	other := clientOf(t, plain, nil)
	must(t, other.Ping(t.Context()))
	renewed.PlainPort = 0
	if ended, err := over.Encrypt(t.Context(), renewed); err != nil || ended != 2 {
		t.Errorf("ended %d connections (%v); want the 2 in clear", ended, err)
	}
	wantClass(t, other.Ping(t.Context()), redisclient.ClassRefused)
	encrypt(t, over, redisclient.Encryption{PlainPort: plain, TLSPort: encrypted, Certificate: renewed.Certificate,
		Key: renewed.Key, CA: renewed.CA, Clients: "no"})
	must(t, other.Ping(t.Context()))
	encrypt(t, other, redisclient.Encryption{PlainPort: plain})
	wantClass(t, clientOf(t, encrypted, ca.config()).Ping(t.Context()), redisclient.ClassRefused)
}

func encrypt(t *testing.T, c *redisclient.Client, e redisclient.Encryption) {
	t.Helper()
	_, err := c.Encrypt(t.Context(), e)
	must(t, err)
}

// A replica changes over by a partial synchronisation, and stays with its master.
func TestReplicationIsEncryptedWithoutAFullSync(t *testing.T) {
	master, replica := startReal(t, redistest.Config{BootsAsMaster: true}), startReal(t, redistest.Config{})
	ca := newPKI(t, "one")
	ca.issue("a", time.Now().Add(time.Hour))
	masterPlain, masterEncrypted := ports(t, master)
	replicaPlain, replicaEncrypted := ports(t, replica)
	m, r := clientOf(t, masterPlain, nil), clientOf(t, replicaPlain, nil)
	must(t, r.ReplicaOf(t.Context(), "127.0.0.1", masterPlain))
	linked := func() bool { info := mustInfo(t, r); return info.LinkUp && info.Offset > 0 }
	eventually(t, "replication in clear", linked)
	before := mustInfo(t, r)

	encrypt(t, m, ca.encryption("a", masterPlain, masterEncrypted))
	want := ca.encryption("a", replicaPlain, replicaEncrypted)
	encrypt(t, r, want)
	must(t, r.SetReplicationTLS(t.Context(), true))
	must(t, r.ReplicaOf(t.Context(), "127.0.0.1", masterEncrypted))
	eventually(t, "encrypted replication", func() bool { info := mustInfo(t, r); return info.LinkUp })
	if after := mustInfo(t, r); after.ReplID != before.ReplID || after.MasterPort != masterEncrypted {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

// Redis and a client that trust other authorities tell each other so: nothing of that is the death of a process.
func TestWhatIsSaidOfACertificateIsNoDeath(t *testing.T) {
	node := startReal(t, redistest.Config{BootsAsMaster: true})
	plain, encrypted := ports(t, node)
	ca, other := newPKI(t, "one"), newPKI(t, "two")
	own := ca.issue("a", time.Now().Add(time.Hour))
	expired := ca.issue("expired", time.Now().Add(-time.Minute))
	foreign := other.issue("a", time.Now().Add(time.Hour))
	want := ca.encryption("a", plain, encrypted)
	want.Clients = "yes"
	encrypt(t, clientOf(t, plain, nil), want)

	must(t, clientOf(t, encrypted, ca.config(own)).Ping(t.Context()))
	for name, config := range map[string]func() *tls.Config{
		"no certificate of ours":     ca.config(),
		"one that has expired":       ca.config(expired),
		"one of another authority":   ca.config(foreign),
		"an authority that is other": other.config(own),
		"nothing to encrypt with":    func() *tls.Config { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			wantClass(t, clientOf(t, encrypted, config).Ping(t.Context()), redisclient.ClassAuth)
		})
	}
}
