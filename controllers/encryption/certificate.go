// SPDX-License-Identifier: Apache-2.0

package encryption

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// Keys of a Secret of type kubernetes.io/tls, as cert-manager writes it.
const (
	CertificateKey = corev1.TLSCertKey
	KeyKey         = corev1.TLSPrivateKeyKey
	CAKey          = "ca.crt"
	// CAKeyKey is the key of the authority, where the operator has made one itself.
	CAKeyKey = "ca.key"
)

// Check makes a material of a Secret that is for these names. The error says what is wrong and what to do; it never
// holds a key.
func Check(data map[string][]byte, names []string, now time.Time) (*Material, error) {
	for _, key := range []string{CertificateKey, KeyKey, CAKey} {
		if len(data[key]) == 0 {
			return nil, fmt.Errorf(
				"has no value under %q: it needs tls.crt, tls.key and ca.crt, as cert-manager writes them",
				key,
			)
		}
	}
	pair, err := tls.X509KeyPair(data[CertificateKey], data[KeyKey])
	if err != nil {
		return nil, fmt.Errorf("holds a certificate and a key that do not go together: %w", withoutPrefix(err))
	}
	trusted := certificates(data[CAKey])
	if len(trusted) == 0 {
		return nil, errors.New("holds no certificate in PEM under \"ca.crt\": put that of the authority there")
	}
	leaf := pair.Leaf
	if err := forRedis(leaf, names); err != nil {
		return nil, err
	}
	if now.After(leaf.NotAfter) {
		return nil, fmt.Errorf(
			"holds a certificate that has expired at %s: renew it",
			leaf.NotAfter.UTC().Format(time.RFC3339),
		)
	}
	authority, err := authorityOf(pair, trusted, now)
	if err != nil {
		return nil, err
	}
	return &Material{
		Certificate: data[CertificateKey], Key: data[KeyKey], Trusted: union([][]byte{authority}, trusted),
	}, nil
}

func withoutPrefix(err error) error { return errors.New(strings.TrimPrefix(err.Error(), "tls: ")) }

// forRedis checks what a certificate is for: a Redis is a server, and to its master it is a client.
func forRedis(leaf *x509.Certificate, names []string) error {
	var missing []string
	for _, name := range names {
		if leaf.VerifyHostname(name) != nil {
			missing = append(missing, name)
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("holds a certificate that is not for %s: add them to its dnsNames", strings.Join(missing, ", "))
	}
	usages := leaf.ExtKeyUsage
	if len(usages)+len(leaf.UnknownExtKeyUsage) == 0 || slices.Contains(usages, x509.ExtKeyUsageAny) {
		return nil
	}
	if !slices.Contains(usages, x509.ExtKeyUsageServerAuth) || !slices.Contains(usages, x509.ExtKeyUsageClientAuth) {
		return errors.New("holds a certificate that is not for servers and clients: a replica is a client of its master; " +
			"add \"server auth\" and \"client auth\" to its usages")
	}
	return nil
}

// authorityOf is the one of the trusted certificates that a chain of the pair ends in.
func authorityOf(pair tls.Certificate, trusted [][]byte, now time.Time) ([]byte, error) {
	between := x509.NewCertPool()
	for _, der := range pair.Certificate[1:] {
		if c, err := x509.ParseCertificate(der); err == nil {
			between.AddCert(c)
		}
	}
	var why error
	for _, ca := range trusted {
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(ca)
		_, err := pair.Leaf.Verify(x509.VerifyOptions{
			Roots: roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
		})
		if err == nil {
			return ca, nil
		}
		why = err
	}
	return nil, fmt.Errorf("holds a certificate that ca.crt does not vouch for: %w", why)
}

// certificates are those of a bundle in PEM, each in PEM.
func certificates(bundle []byte) [][]byte {
	var all [][]byte
	for block, rest := pem.Decode(bundle); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			all = append(all, pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: block.Bytes}))
		}
	}
	return all
}

// Leaf is the certificate that a process shows; nil when there is none that can be read.
func (m *Material) Leaf() *x509.Certificate {
	if m == nil {
		return nil
	}
	block, _ := pem.Decode(m.Certificate)
	if block == nil {
		return nil
	}
	leaf, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil
	}
	return leaf
}

// Config is how the operator talks to a Redis that is in this state, but for the name; nil in clear.
func (s State) Config() *tls.Config {
	if s.Live == nil {
		return nil
	}
	roots := x509.NewCertPool()
	for _, m := range []*Material{s.Live, s.boot()} {
		if m != nil {
			roots.AppendCertsFromPEM(m.bundle())
		}
	}
	config := &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	if pair, err := tls.X509KeyPair(s.Live.Certificate, s.Live.Key); err == nil {
		config.Certificates = []tls.Certificate{pair}
	}
	return config
}

// How long what the operator makes itself is valid, and how long before its end it is made anew.
const (
	authorityFor   = 10 * 365 * 24 * time.Hour
	certificateFor = 90 * 24 * time.Hour
	renewBefore    = 30 * 24 * time.Hour
)

// Renewed is a Secret's content for these names, signed by an authority of its own that data holds already, or is made
// with it. It is data itself where that is good for long enough, and for what is needed.
func Renewed(data map[string][]byte, needed, names []string, now time.Time) (map[string][]byte, error) {
	if m, err := Check(data, needed, now); err == nil && now.Before(m.Leaf().NotAfter.Add(-renewBefore)) {
		return data, nil
	}
	authority, key, err := ownAuthority(data, now)
	if err != nil {
		return nil, err
	}
	return issue(authority, key, names, now)
}

// ownAuthority reads the authority, or makes one.
func ownAuthority(data map[string][]byte, now time.Time) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	if pair, err := tls.X509KeyPair(
		data[CAKey],
		data[CAKeyKey],
	); err == nil &&
		now.Add(certificateFor).Before(pair.Leaf.NotAfter) {
		if key, is := pair.PrivateKey.(*ecdsa.PrivateKey); is {
			return pair.Leaf, key, nil
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("making a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "redisha"}, NotBefore: now.Add(-time.Hour),
		NotAfter: now.Add(authorityFor), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, nil, fmt.Errorf("making an authority: %w", err)
	}
	authority, err := x509.ParseCertificate(der)
	return authority, key, err
}

func issue(
	authority *x509.Certificate,
	signer *ecdsa.PrivateKey,
	names []string,
	now time.Time,
) (map[string][]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making a key: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "redis"}, DNSNames: names,
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certificateFor), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, authority, key.Public(), signer)
	if err != nil {
		return nil, fmt.Errorf("signing a certificate: %w", err)
	}
	data := map[string][]byte{
		CertificateKey: inPEM("CERTIFICATE", der), CAKey: inPEM("CERTIFICATE", authority.Raw),
	}
	for name, private := range map[string]*ecdsa.PrivateKey{KeyKey: key, CAKeyKey: signer} {
		text, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			return nil, fmt.Errorf("writing a key: %w", err)
		}
		data[name] = inPEM("PRIVATE KEY", text)
	}
	return data, nil
}

func inPEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func serial() *big.Int {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return big.NewInt(1) // the reader of crypto/rand does not fail
	}
	return n
}
