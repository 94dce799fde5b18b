// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/encryption"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/e2e/chaos"
	"github.com/redisha/redisha/e2e/checks"
	"github.com/redisha/redisha/e2e/testbed"
)

// authority is a Secret of kubernetes.io/tls, as cert-manager keeps one: applied anew when it is renewed.
type authority struct {
	t    *testing.T
	key  client.ObjectKey // of the Secret
	rha  *v1alpha1.RedisHA
	data map[string][]byte
}

func newAuthority(t *testing.T, ns string) *authority {
	t.Helper()
	a := &authority{
		t: t, key: client.ObjectKey{Namespace: ns, Name: "cert"},
		rha: &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "cache"}},
	}
	a.issue()
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: a.key.Name}, Type: corev1.SecretTypeTLS, Data: a.data,
	}
	if err := bed.Client.Create(t.Context(), secret); err != nil {
		t.Fatal(err)
	}
	return a
}

// issue makes another certificate by the authority in data, or by a new one.
func (a *authority) issue() {
	a.t.Helper()
	names := resources.GeneratedNames(a.rha)
	data, err := encryption.Renewed(a.data, []string{"another.name"}, names, time.Now())
	if err != nil {
		a.t.Fatal(err)
	}
	a.data = data
}

func (a *authority) apply(data map[string][]byte) {
	a.t.Helper()
	secret := &corev1.Secret{}
	if err := bed.Client.Get(a.t.Context(), a.key, secret); err != nil {
		a.t.Fatal(err)
	}
	before := secret.DeepCopy()
	secret.Data = data
	if err := bed.Client.Patch(a.t.Context(), secret, client.MergeFrom(before)); err != nil {
		a.t.Fatal(err)
	}
}

// serviceAddr is where the master Service takes connections.
func serviceAddr(t *testing.T, key client.ObjectKey, port int32) string {
	t.Helper()
	addr, err := bed.MasterAddr(t.Context(), key, port)
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// load are clients that write numbered values.
type load struct {
	t       *testing.T
	writers *chaos.Writers
	began   time.Time
}

func write(t *testing.T, key client.ObjectKey, port int32, dial chaos.Dialer, prefix string) *load {
	t.Helper()
	password, err := bed.Password(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if dial == nil {
		dial = bed.Clients.DialContext
	}
	l := &load{t: t, began: time.Now(), writers: chaos.Start(chaos.Options{
		Finder: chaos.Fixed(serviceAddr(t, key, port)), Password: password, Dial: dial, Prefix: prefix,
		Interval: 10 * time.Millisecond,
	})}
	t.Cleanup(l.writers.Stop)
	if _, err := l.writers.WaitAck(within(t, 20*time.Second), l.began); err != nil {
		t.Fatalf("%s: nothing was written: %v, %v", prefix, err, l.writers.Failed())
	}
	l.began = time.Now()
	return l
}

// stop ends the clients, which may have lost nothing; and returns for how long they were held up at most.
func (l *load) stop() time.Duration {
	l.t.Helper()
	gap := l.writers.Gap(l.began, time.Now()).Length()
	l.writers.Stop()
	loss, err := l.writers.Verify(within(l.t, time.Minute))
	if err != nil || loss.Lost > 0 {
		l.t.Errorf("lost %+v (%v)", loss, err)
	}
	l.t.Logf("%d acknowledged, none for %s at most, refused %v", l.writers.Acked(), gap, l.writers.Failed())
	return gap
}

// atStage waits until a set is at a stage, and all is well with it.
func atStage(t *testing.T, key client.ObjectKey, stage v1alpha1.TLSStage) *v1alpha1.RedisHA {
	t.Helper()
	eventually(t, fmt.Sprintf("TLS to be at %q", stage), 3*time.Minute, func(ctx context.Context) (bool, error) {
		rha, err := bed.Get(ctx, key)
		if err != nil || !checks.UpToDate(rha) {
			return false, err
		}
		if rha.Status.TLS == nil {
			return stage == "", nil
		}
		return rha.Status.TLS.Stage == stage, nil
	})
	return settled(t, key)
}

// connectionsTo are the lines of CLIENT LIST of who came by a port, of which the name or the flags contain what.
func connectionsTo(t *testing.T, key client.ObjectKey, pod string, port int32, what string) (found []string) {
	t.Helper()
	for line := range strings.Lines(redisCLI(t, key, pod, "-s /tmp/redisha.sock client list")) {
		if strings.Contains(line, fmt.Sprintf(":%d fd=", port)) && strings.Contains(line, what) {
			found = append(found, line)
		}
	}
	return found
}

// generatedCA is the authority that the operator has made.
func generatedCA(t *testing.T, key client.ObjectKey) []byte {
	t.Helper()
	made, err := bed.GeneratedCA(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func refusedInClear(t *testing.T, key client.ObjectKey) {
	t.Helper()
	addr := serviceAddr(t, key, resources.RedisPort)
	if conn, err := bed.Clients.DialContext(within(t, 2*time.Second), "tcp", addr); err == nil {
		_ = conn.Close()
		t.Errorf("%s takes connections in clear", addr)
	}
	for name := range pods(t, key) {
		if port := mustAsOperator(t, key, name, "config get port"); !strings.HasSuffix(port, "\n0") {
			t.Errorf("%s: %q", name, port)
		}
	}
}

func TestWithTLSNothingIsInClearAndAFailoverIsAsInClear(t *testing.T) {
	t.Parallel()
	key := create(t, namespace(t), v1alpha1.RedisHASpec{TLS: &v1alpha1.TLSSpec{}})
	before := atStage(t, key, v1alpha1.TLSStageRequired)
	refusedInClear(t, key)
	l := write(t, key, resources.RedisTLSPort, bed.Encrypted(key, testbed.Trusting(generatedCA(t, key))), "tls")
	master := before.Status.Master.Pod
	if n := len(connectionsTo(t, key, master, resources.RedisTLSPort, "flags=S")); n != 2 {
		t.Errorf("%d replicas came encrypted, want 2", n)
	}
	if len(connectionsTo(t, key, master, resources.RedisTLSPort, "name=redisha")) == 0 {
		t.Error("the operator did not come encrypted")
	}
	if err := bed.Sandbox.Signal(key.Namespace, master, resources.RedisContainer, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another master", time.Minute, func(ctx context.Context) (bool, error) {
		rha, err := bed.Get(ctx, key)
		return err == nil && rha.Status.Master.Epoch > before.Status.Master.Epoch, err
	})
	settled(t, key)
	if gap := l.stop(); gap > 5*time.Second {
		t.Errorf("nothing was written for %s", gap)
	}
}

func TestTLSIsTurnedOnAndOffUnderLoadWithoutARestartOrAFailover(t *testing.T) {
	key := create(t, namespace(t), v1alpha1.RedisHASpec{})
	before, uids := settled(t, key), pods(t, key)
	inClear := write(t, key, resources.RedisPort, nil, "clear")
	change(t, key, func(rha *v1alpha1.RedisHA) {
		rha.Spec.TLS = &v1alpha1.TLSSpec{Plaintext: v1alpha1.PlaintextAllowed}
	})
	time.Sleep(time.Second)
	replaceOperator(t)
	atStage(t, key, v1alpha1.TLSStageUsed)
	over := write(t, key, resources.RedisTLSPort, bed.Encrypted(key, testbed.Trusting(generatedCA(t, key))), "tls")
	if n := len(connectionsTo(t, key, before.Status.Master.Pod, resources.RedisTLSPort, "flags=S")); n != 2 {
		t.Errorf("%d replicas came encrypted, want 2", n)
	}
	short(t, "in clear, while TLS was turned on", inClear.stop())

	change(t, key, func(rha *v1alpha1.RedisHA) { rha.Spec.TLS.Plaintext = v1alpha1.PlaintextRefused })
	atStage(t, key, v1alpha1.TLSStageRequired)
	refusedInClear(t, key)
	change(t, key, func(rha *v1alpha1.RedisHA) { rha.Spec.TLS.Plaintext = v1alpha1.PlaintextAllowed })
	atStage(t, key, v1alpha1.TLSStageUsed)
	inClear = write(t, key, resources.RedisPort, nil, "clear again")
	short(t, "encrypted", over.stop())
	change(t, key, func(rha *v1alpha1.RedisHA) { rha.Spec.TLS = nil })
	after := atStage(t, key, "")
	short(t, "in clear, while TLS was turned off", inClear.stop())
	for pod := range pods(t, key) {
		if port := mustAsOperator(t, key, pod, "config get tls-port"); !strings.HasSuffix(port, "\n0") {
			t.Errorf("%s: %q", pod, port)
		}
	}
	if after.Status.Master.Epoch != before.Status.Master.Epoch {
		t.Errorf("epoch %d after %d", after.Status.Master.Epoch, before.Status.Master.Epoch)
	}
	for pod, uid := range pods(t, key) {
		if uids[pod] != uid {
			t.Errorf("%s was replaced", pod)
		}
	}
}

// short expects that applications were not without a master for long. Other tests run on the machine at the same time,
// so that a second is no fault here; make operations measures on a quiet one.
func short(t *testing.T, what string, gap time.Duration) {
	t.Helper()
	if gap > 3*time.Second {
		t.Errorf("%s: nothing was written for %s", what, gap)
	}
}

// shows waits until every pod shows the certificate of data.
func shows(t *testing.T, key client.ObjectKey, data map[string][]byte) {
	t.Helper()
	eventually(t, "every pod to show the new certificate", 3*time.Minute, func(ctx context.Context) (bool, error) {
		return bed.AllShow(ctx, key, data)
	})
}

func TestACertificateIsRenewedAndItsAuthorityReplacedUnderLoad(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	a := newAuthority(t, ns)
	key := create(t, ns, v1alpha1.RedisHASpec{TLS: &v1alpha1.TLSSpec{
		SecretRef: &v1alpha1.TLSSecretReference{Name: a.key.Name}, ClientCertificates: v1alpha1.ClientCertificatesRequired,
		TrustFormerCASeconds: ptr.To[int32](20),
	}})
	before, uids := atStage(t, key, v1alpha1.TLSStageRequired), pods(t, key)
	former := a.data
	pair, err := tls.X509KeyPair(former[encryption.CertificateKey], former[encryption.KeyKey])
	if err != nil {
		t.Fatal(err)
	}
	next := &authority{t: t, key: a.key, rha: a.rha}
	next.issue()
	both := testbed.Trusting(former[encryption.CAKey], next.data[encryption.CAKey])
	var own atomic.Pointer[tls.Certificate]
	own.Store(&pair)
	if taken(t.Context(), t, key, both) || !taken(t.Context(), t, key, both, pair) {
		t.Error("want a certificate of clients, and no more")
	}
	l := write(t, key, resources.RedisTLSPort, func(ctx context.Context, network, addr string) (net.Conn, error) {
		return bed.Encrypted(key, both, *own.Load())(ctx, network, addr)
	}, "tls")

	a.issue()
	a.apply(a.data)
	shows(t, key, a.data)

	a.apply(next.data)
	shows(t, key, next.data)
	renewed, err := tls.X509KeyPair(next.data[encryption.CertificateKey], next.data[encryption.KeyKey])
	if err != nil {
		t.Fatal(err)
	}
	own.Store(&renewed)
	// A client with a certificate of the former authority is taken for a while, and then not.
	eventually(t, "the former authority is trusted no more", 3*time.Minute, func(ctx context.Context) (bool, error) {
		return !taken(ctx, t, key, both, pair), nil
	})
	short(t, "encrypted", l.stop())
	after := atStage(t, key, v1alpha1.TLSStageRequired)
	if after.Status.Master.Epoch != before.Status.Master.Epoch {
		t.Errorf("epoch %d after %d", after.Status.Master.Epoch, before.Status.Master.Epoch)
	}
	for pod, uid := range pods(t, key) {
		if uids[pod] != uid {
			t.Errorf("%s was replaced", pod)
		}
	}
}

// taken reports whether a client is answered. By TLS 1.3 it is told after the handshake that it is not.
func taken(ctx context.Context, t *testing.T, key client.ObjectKey, roots *x509.CertPool, own ...tls.Certificate) bool {
	t.Helper()
	conn, err := bed.Encrypted(key, roots, own...)(ctx, "tcp", serviceAddr(t, key, resources.RedisTLSPort))
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
	_, _ = conn.Write([]byte("PING\r\n"))
	_, err = conn.Read(make([]byte, 64))
	return err == nil
}

func TestABrokenCertificateIsToldAndWhatRunsGoesOn(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	a := newAuthority(t, ns)
	good := a.data
	key := create(t, ns, v1alpha1.RedisHASpec{TLS: &v1alpha1.TLSSpec{
		SecretRef: &v1alpha1.TLSSecretReference{Name: a.key.Name},
	}})
	atStage(t, key, v1alpha1.TLSStageRequired)
	l := write(t, key, resources.RedisTLSPort, bed.Encrypted(key, testbed.Trusting(good[encryption.CAKey])), "tls")
	a.issue()
	a.apply(map[string][]byte{
		encryption.CertificateKey: a.data[encryption.CertificateKey], encryption.KeyKey: good[encryption.KeyKey],
		encryption.CAKey: good[encryption.CAKey],
	})
	eventually(t, "the broken certificate to be told", time.Minute, func(ctx context.Context) (bool, error) {
		rha, err := bed.Get(ctx, key)
		if err != nil {
			return false, err
		}
		c := meta.FindStatusCondition(rha.Status.Conditions, v1alpha1.ConditionReconciled)
		return c.Reason == v1alpha1.ReasonCertificateInvalid && strings.Contains(c.Message, `Secret "cert"`), nil
	})
	// A pod that is made anew meanwhile starts with the last good one.
	rha, err := bed.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if err := bed.Client.Delete(t.Context(), &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: ns, Name: rha.Status.Master.Pod,
	}}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another master", time.Minute, func(ctx context.Context) (bool, error) {
		now, err := bed.Get(ctx, key)
		return err == nil && now.Status.Master.Pod != rha.Status.Master.Pod, err
	})
	a.apply(a.data)
	shows(t, key, a.data)
	settled(t, key)
	short(t, "encrypted", l.stop())
}
