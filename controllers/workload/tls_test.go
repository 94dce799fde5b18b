// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/controllertest"
	"github.com/redisha/redisha/controllers/encryption"
	"github.com/redisha/redisha/controllers/resources"
)

// encrypting is a set of three that runs in clear, and is to be encrypted from now on.
func encrypting(t *testing.T) (*world, *teller, *clocktesting.FakeClock) {
	t.Helper()
	w := newWorld(t, controllertest.Shop(nil))
	tl, clock := newTeller(), clocktesting.NewFakeClock(time.Unix(1e9, 0))
	w.reconciler.Teller, w.reconciler.Clock = tl, clock
	w.reconcile()
	rha := &v1alpha1.RedisHA{}
	w.Get("shop", rha)
	w.runs(rha)
	w.changeSpec(func(spec *v1alpha1.RedisHASpec) { spec.TLS = &v1alpha1.TLSSpec{} })
	return w, tl, clock
}

// startsWith are the settings of redis.conf that processes start with beside the ConfigMap's.
func (w *world) startsWith() string {
	w.T.Helper()
	secret := &corev1.Secret{}
	w.Get(resources.MountSecretName("shop"), secret)
	return string(secret.Data[resources.AuthConf])
}

func (w *world) stage() v1alpha1.TLSStage {
	w.T.Helper()
	rha := &v1alpha1.RedisHA{}
	w.Get("shop", rha)
	if rha.Status.TLS == nil {
		return ""
	}
	return rha.Status.TLS.Stage
}

func TestTLSIsTurnedOnStageByStageWhenEveryPodHasMadeTheLast(t *testing.T) {
	w, tl, _ := encrypting(t)
	tl.deaf = "shop-2" // a machine that is away holds the stages up
	for range 5 {
		w.reconcile()
	}
	if stage := w.stage(); stage != "" {
		t.Fatalf("at %q although a pod is away", stage)
	}
	if conf := w.startsWith(); !strings.Contains(conf, "tls-port 6380\n") || strings.Contains(conf, "port 0\n") {
		t.Errorf("processes start with\n%s", conf)
	}
	if c := w.Condition(v1alpha1.ConditionProgressing); c.Reason != v1alpha1.ReasonChangingEncryption {
		t.Errorf("Progressing is %s: %s", c.Reason, c.Message)
	}
	tl.deaf = ""
	for range 8 {
		w.reconcile()
	}
	if stage := w.stage(); stage != v1alpha1.TLSStageRequired {
		t.Fatalf("at %q", stage)
	}
	for _, setting := range []string{"tls-port 6380\n", "tls-replication yes\n", "port 0\n"} {
		if !strings.Contains(w.startsWith(), setting) {
			t.Errorf("processes start without %q", setting)
		}
	}
	service := &corev1.Service{}
	w.Get("shop-master", service)
	if ports := service.Spec.Ports; len(ports) != 1 || ports[0].Port != resources.RedisTLSPort {
		t.Errorf("the master Service has the ports %+v", ports)
	}
	if c := w.Condition(v1alpha1.ConditionCertificateValid); c.Reason != v1alpha1.ReasonCertificateLasts {
		t.Errorf("CertificateValid is %s: %s", c.Reason, c.Message)
	}
	if writes := w.reconcile(); len(writes) > 0 {
		t.Errorf("nothing changes, and is written: %v", writes)
	}
}

func TestWhatRedisSaysOfACertificateIsToldAndNoProcessStartsWithIt(t *testing.T) {
	w, tl, clock := encrypting(t)
	tl.withTLS = replyError("ERR CONFIG SET failed (possibly related to argument 'tls-cert-file')")
	for range 3 {
		w.reconcile()
	}
	clock.Step(mountedWithin + time.Second)
	w.reconcile()
	c := w.Condition(v1alpha1.ConditionReconciled)
	if c.Reason != v1alpha1.ReasonCertificateRefused || !strings.Contains(c.Message, "tls-cert-file") {
		t.Errorf("Reconciled is %s: %s", c.Reason, c.Message)
	}
	if strings.Contains(w.startsWith(), "tls-") {
		t.Errorf("processes start with what Redis refuses:\n%s", w.startsWith())
	}
	w.changeSpec(func(spec *v1alpha1.RedisHASpec) { spec.TLS = nil })
	tl.withTLS = nil
	for range 3 {
		w.reconcile()
	}
	if c := w.Condition(v1alpha1.ConditionReconciled); w.stage() != "" || c.Reason != v1alpha1.ReasonApplied {
		t.Errorf("at %q, Reconciled is %s: %s", w.stage(), c.Reason, c.Message)
	}
}

// replyError is what a Redis has said.
type replyError string

func (e replyError) Error() string { return string(e) }

// RedisError marks it as something Redis said.
func (replyError) RedisError() {}

func TestACertificateThatEndsIsToldAWeekBefore(t *testing.T) {
	w, _, clock := encrypting(t)
	w.changeSpec(func(spec *v1alpha1.RedisHASpec) { spec.TLS = nil })
	shop := controllertest.Shop(nil)
	data, err := encryption.Renewed(nil, resources.NeededNames(shop), resources.GeneratedNames(shop), clock.Now())
	if err != nil {
		t.Fatal(err)
	}
	if err := w.Client.Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "mine", Namespace: "store"}, Type: corev1.SecretTypeTLS, Data: data,
	}); err != nil {
		t.Fatal(err)
	}
	w.changeSpec(func(spec *v1alpha1.RedisHASpec) {
		spec.TLS = &v1alpha1.TLSSpec{SecretRef: &v1alpha1.TLSSecretReference{Name: "mine"}}
	})
	for range 8 {
		w.reconcile()
	}
	for _, of := range []struct {
		passes time.Duration
		reason string
	}{
		{0, v1alpha1.ReasonCertificateLasts},
		{84 * 24 * time.Hour, v1alpha1.ReasonCertificateExpiring},
		{7 * 24 * time.Hour, v1alpha1.ReasonCertificateExpired},
	} {
		clock.Step(of.passes)
		w.reconcile()
		if c := w.Condition(v1alpha1.ConditionCertificateValid); c.Reason != of.reason {
			t.Errorf("CertificateValid is %s: %s; want %s", c.Reason, c.Message, of.reason)
		}
	}
}
