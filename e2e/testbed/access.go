// SPDX-License-Identifier: Apache-2.0

package testbed

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/controllers/encryption"
	"github.com/redisha/redisha/controllers/passwords"
	"github.com/redisha/redisha/controllers/resources"
)

// Dialer opens connections from where applications run.
type Dialer = func(ctx context.Context, network, addr string) (net.Conn, error)

// MasterAddr is where the master's Service takes connections at that port.
func (b *Testbed) MasterAddr(ctx context.Context, key client.ObjectKey, port int32) (string, error) {
	service := &corev1.Service{}
	name := client.ObjectKey{Namespace: key.Namespace, Name: resources.MasterServiceName(key.Name)}
	err := b.Client.Get(ctx, name, service)
	return net.JoinHostPort(service.Spec.ClusterIP, strconv.Itoa(int(port))), err
}

// MasterName is what a client that connects through the master's Service verifies.
func MasterName(key client.ObjectKey) string {
	return resources.MasterServiceName(key.Name) + "." + key.Namespace + ".svc"
}

// Trusting is what a client knows that trusts these authorities, each in PEM.
func Trusting(authorities ...[]byte) *x509.CertPool {
	roots := x509.NewCertPool()
	for _, pem := range authorities {
		roots.AppendCertsFromPEM(pem)
	}
	return roots
}

// Encrypted dials like a client that verifies the master's Service by its name. go-redis encrypts nothing that it has
// not dialled itself.
func (b *Testbed) Encrypted(key client.ObjectKey, roots *x509.CertPool, own ...tls.Certificate) Dialer {
	config := &tls.Config{RootCAs: roots, ServerName: MasterName(key), MinVersion: tls.VersionTLS12, Certificates: own}
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := b.Clients.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		secured := tls.Client(conn, config)
		if err := secured.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(err, conn.Close())
		}
		return secured, nil
	}
}

// GeneratedCA is the authority that the operator has made for a RedisHA, in PEM.
func (b *Testbed) GeneratedCA(ctx context.Context, key client.ObjectKey) ([]byte, error) {
	made := &corev1.Secret{}
	name := client.ObjectKey{Namespace: key.Namespace, Name: resources.GeneratedTLSSecretName(key.Name)}
	err := b.Client.Get(ctx, name, made)
	return made.Data[encryption.CAKey], err
}

// Shown is the certificate that a pod shows; nil for one that shows none yet.
func (b *Testbed) Shown(ctx context.Context, pod *corev1.Pod) *x509.Certificate {
	addr := net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(int(resources.RedisTLSPort)))
	conn, err := b.Clients.DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil
	}
	defer func() { _ = conn.Close() }()
	secured := tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) // the caller compares it
	if secured.HandshakeContext(ctx) != nil {
		return nil
	}
	return secured.ConnectionState().PeerCertificates[0]
}

// AllShow reports whether every pod shows the certificate in the content of a Secret.
func (b *Testbed) AllShow(ctx context.Context, key client.ObjectKey, data map[string][]byte) (bool, error) {
	want, err := tls.X509KeyPair(data[encryption.CertificateKey], data[encryption.KeyKey])
	if err != nil {
		return false, err
	}
	pods, err := b.Pods(ctx, key)
	for i := range pods {
		if shown := b.Shown(ctx, &pods[i]); shown == nil || !shown.Equal(want.Leaf) {
			return false, err
		}
	}
	return len(pods) > 0, err
}

// PasswordState is which passwords the processes of a RedisHA take.
func (b *Testbed) PasswordState(ctx context.Context, key client.ObjectKey) (passwords.State, error) {
	secret, err := b.mounted(ctx, key)
	return passwords.In(secret.Data, resources.PasswordKey), err
}

// EncryptionState is what the processes of a RedisHA encrypt with, and whom they trust.
func (b *Testbed) EncryptionState(ctx context.Context, key client.ObjectKey) (encryption.State, error) {
	secret, err := b.mounted(ctx, key)
	return encryption.In(secret.Data), err
}

// Pods are the Redis pods of a RedisHA.
func (b *Testbed) Pods(ctx context.Context, key client.ObjectKey) ([]corev1.Pod, error) {
	pods := &corev1.PodList{}
	selector := client.MatchingLabels(resources.SelectorLabels(key.Name))
	err := b.Client.List(ctx, pods, client.InNamespace(key.Namespace), selector)
	return pods.Items, err
}

// PodUIDs are the UIDs of the Redis pods, by name.
func (b *Testbed) PodUIDs(ctx context.Context, key client.ObjectKey) (map[string]string, error) {
	pods, err := b.Pods(ctx, key)
	uids := map[string]string{}
	for i := range pods {
		uids[pods[i].Name] = string(pods[i].UID)
	}
	return uids, err
}

// Evict asks for what kubectl drain asks for.
func (b *Testbed) Evict(ctx context.Context, pod client.ObjectKey) error {
	return b.Kube.PolicyV1().Evictions(pod.Namespace).Evict(ctx, &policyv1.Eviction{
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name},
	})
}
