// SPDX-License-Identifier: Apache-2.0

package encryption

import (
	"crypto/tls"
	"crypto/x509"
	"maps"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/redisha/redisha/api/v1alpha1"
)

var (
	now    = time.Now()
	needed = []string{"a-master.ns.svc", "a-0.a-headless.ns.svc"}
	names  = []string{"a-master.ns.svc", "*.a-headless.ns.svc"}
)

func made(t *testing.T, had map[string][]byte, at time.Time) map[string][]byte {
	t.Helper()
	data, err := Renewed(had, needed, names, at)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func with(data map[string][]byte, key string, value []byte) map[string][]byte {
	data = maps.Clone(data)
	data[key] = value
	return data
}

func TestASecretThatCannotBeUsedIsRefusedWithWhatToDo(t *testing.T) {
	good, other := made(t, nil, now), made(t, nil, now)
	if m, err := Check(good, needed, now); err != nil || m.Leaf() == nil {
		t.Fatalf("a good one: %v", err)
	}
	for name, of := range map[string]struct {
		data map[string][]byte
		at   time.Time
		says string
	}{
		"none":                  {nil, now, `no value under "tls.crt"`},
		"no authority":          {with(good, CAKey, nil), now, `no value under "ca.crt"`},
		"an authority in words": {with(good, CAKey, []byte("it is good")), now, "no certificate in PEM"},
		"another's key":         {with(good, KeyKey, other[KeyKey]), now, "do not go together"},
		"no certificate":        {with(good, CertificateKey, []byte("x")), now, "do not go together"},
		"another authority":     {with(good, CAKey, other[CAKey]), now, "does not vouch for"},
		"another name":          {good, now, "a-1.b.svc: add them to its dnsNames"},
		"too old":               {good, now.Add(certificateFor + time.Hour), "has expired at"},
	} {
		t.Run(name, func(t *testing.T) {
			names := needed
			if name == "another name" {
				names = []string{"a-master.ns.svc", "a-1.b.svc"}
			}
			m, err := Check(of.data, names, of.at)
			if m != nil || err == nil || !strings.Contains(err.Error(), of.says) {
				t.Errorf("got %v; want %q", err, of.says)
			}
			if err != nil && strings.Contains(err.Error(), "PRIVATE") {
				t.Error("the error holds a key")
			}
		})
	}
}

func TestACertificateForServersOnlyIsRefusedBecauseReplicasAreClients(t *testing.T) {
	leaf := &x509.Certificate{DNSNames: needed, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}}
	if err := forRedis(leaf, needed); err == nil || !strings.Contains(err.Error(), "client auth") {
		t.Error(err)
	}
}

func TestAGeneratedCertificateIsRenewedInTimeByTheSameAuthority(t *testing.T) {
	first := made(t, nil, now)
	if again := made(t, first, now.Add(certificateFor-renewBefore-time.Hour)); !cmp.Equal(first, again) {
		t.Error("renewed too early")
	}
	later := now.Add(certificateFor - renewBefore + time.Hour)
	renewed := made(t, first, later)
	if cmp.Equal(first[CertificateKey], renewed[CertificateKey]) || !cmp.Equal(first[CAKey], renewed[CAKey]) {
		t.Error("want another certificate by the same authority")
	}
	end := now.Add(authorityFor - time.Hour)
	if last := made(t, renewed, end); cmp.Equal(renewed[CAKey], last[CAKey]) {
		t.Error("the authority ends before what it signs")
	}
	for _, broken := range []string{CertificateKey, CAKey, CAKeyKey} {
		if _, err := Check(made(t, with(first, broken, []byte("x")), later), needed, later); err != nil {
			t.Errorf("with a broken %s: %v", broken, err)
		}
	}
}

// What the Secret holds is what was put into it, and a process finds each file that its settings name.
func TestASecretTellsHowFarItIs(t *testing.T) {
	one, two := material(t, made(t, nil, now)), material(t, made(t, nil, now))
	one.Clients = v1alpha1.ClientCertificatesRequired
	both := *two
	both.Trusted = union(two.Trusted, one.Trusted)
	until := now.UTC().Truncate(time.Second)
	for _, s := range []State{
		{},
		{Stage: v1alpha1.TLSStageOffered, Trial: true, Live: one},
		{Stage: v1alpha1.TLSStageUsed, Live: one},
		{Stage: v1alpha1.TLSStageRequired, Trial: true, Live: &both, Boot: one, FormerUntil: until},
		{Stage: v1alpha1.TLSStageClear, Live: one},
	} {
		files := s.Files(State{})
		if diff := cmp.Diff(s, In(files), cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: %s", s.Stage, diff)
		}
		for _, e := range []string{s.Conf(""), s.Encryption("").Certificate + "\n" + s.Encryption("").CA} {
			for line := range strings.Lines(e) {
				_, file, found := strings.Cut(strings.TrimSpace(line), "/")
				if found && len(files[file]) == 0 {
					t.Errorf("%s: %q names no file", s.Stage, line)
				}
			}
		}
		for file := range files {
			if file == record {
				continue
			}
			incomplete := maps.Clone(files)
			delete(incomplete, file)
			if got := In(incomplete); got.Live != nil {
				t.Errorf("%s: without %s it is taken for %s", s.Stage, file, got.Stage)
			}
		}
	}
}

func material(t *testing.T, data map[string][]byte) *Material {
	t.Helper()
	m, err := Check(data, needed, now)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// The operator verifies a pod by its name, and shows the certificate itself.
func TestTheOperatorVerifiesThePodItTalksTo(t *testing.T) {
	state := State{Stage: v1alpha1.TLSStageRequired, Live: material(t, made(t, nil, now))}
	other := State{Stage: v1alpha1.TLSStageRequired, Live: material(t, made(t, nil, now))}
	shake := func(server State, name string) error {
		a, b := net.Pipe()
		defer func() { _, _ = a.Close(), b.Close() }()
		serves := server.Config()
		serves.ClientCAs, serves.ClientAuth = serves.RootCAs, tls.RequireAndVerifyClientCert
		go func() { _ = tls.Server(b, serves).Handshake(); _ = b.Close() }()
		asks := state.Config()
		asks.ServerName, asks.MaxVersion = name, tls.VersionTLS12 // a pipe has no room for what 1.3 sends last
		return tls.Client(a, asks).Handshake()
	}
	if err := shake(state, "a-0.a-headless.ns.svc"); err != nil {
		t.Error(err)
	}
	if shake(state, "a-0.b-headless.ns.svc") == nil {
		t.Error("a certificate for another name was taken")
	}
	if shake(other, "a-0.a-headless.ns.svc") == nil {
		t.Error("a certificate of another authority was taken")
	}
}
