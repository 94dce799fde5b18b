// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"crypto/x509"

	"github.com/prometheus/client_golang/prometheus"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/redisha/redisha/failover"
)

var (
	failoversTotal = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "redisha_failovers_total",
		Help: "Failovers, switchovers and bootstraps that ended, by kind, cause and outcome.",
	}, []string{"namespace", "name", "kind", "cause", "outcome"})
	failoverSeconds = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "redisha_failover_duration_seconds",
		Help:    "Time from the intent to the published master.",
		Buckets: []float64{.01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 30},
	}, []string{"namespace", "name", "kind"})
	blockedGauge = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "redisha_blocked",
		Help: "1 while something that is wanted is refused, by reason.",
	}, []string{"namespace", "name", "reason"})
	epochGauge = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "redisha_epoch",
		Help: "Number of promotions begun.",
	}, []string{"namespace", "name"})
	availableGauge = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "redisha_available",
		Help: "1 while a published master is known to accept writes, else 0; no series while the RedisHA hibernates.",
	}, []string{"namespace", "name"})
	certificateEnd = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "redisha_certificate_end_timestamp_seconds",
		Help: "When the certificate ends that Redis shows, in seconds since 1970; no series in clear.",
	}, []string{"namespace", "name"})
	refusedWrites = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "redisha_refused_progress_writes_total",
		Help: "Writes of the progress that the API server refused. A few are ordinary; a growing number means that no " +
			"failover can be carried out.",
	}, []string{"namespace", "name"})
)

func init() {
	metrics.Registry.MustRegister(
		failoversTotal, failoverSeconds, blockedGauge, epochGauge, availableGauge, certificateEnd, refusedWrites,
	)
}

func observeDecision(key client.ObjectKey, d failover.Decision) {
	if d.Record == nil {
		return
	}
	r := d.Record
	failoversTotal.WithLabelValues(key.Namespace, key.Name, string(r.Kind), string(r.Cause), string(r.Outcome)).Inc()
	for _, s := range r.Steps {
		if s.Name == failover.StepPublished && !r.StartedAt.IsZero() {
			failoverSeconds.WithLabelValues(key.Namespace, key.Name, string(r.Kind)).Observe(s.At.Sub(r.StartedAt).Seconds())
		}
	}
}

// observeAvailable shows whether a master accepts writes. That a set which hibernates has none is nothing to alert on.
func observeAvailable(key client.ObjectKey, state failover.State, is bool) {
	switch {
	case state == failover.StateHibernated:
		availableGauge.DeleteLabelValues(key.Namespace, key.Name)
	case is:
		availableGauge.WithLabelValues(key.Namespace, key.Name).Set(1)
	default:
		availableGauge.WithLabelValues(key.Namespace, key.Name).Set(0)
	}
}

// observeReason shows why something wanted is not done; no series when nothing is refused.
func observeReason(key client.ObjectKey, reason failover.Reason) {
	blockedGauge.DeletePartialMatch(prometheus.Labels{"namespace": key.Namespace, "name": key.Name})
	if reason != failover.ReasonNone {
		blockedGauge.WithLabelValues(key.Namespace, key.Name, string(reason)).Set(1)
	}
}

// observeCertificate shows when a certificate ends; no series for none.
func observeCertificate(key client.ObjectKey, leaf *x509.Certificate) {
	if leaf == nil {
		certificateEnd.DeleteLabelValues(key.Namespace, key.Name)
		return
	}
	certificateEnd.WithLabelValues(key.Namespace, key.Name).Set(float64(leaf.NotAfter.Unix()))
}

// forgetMetrics drops the series of a RedisHA that is gone.
func forgetMetrics(key client.ObjectKey) {
	labels := prometheus.Labels{"namespace": key.Namespace, "name": key.Name}
	for _, v := range []interface{ DeletePartialMatch(prometheus.Labels) int }{
		failoversTotal, failoverSeconds, blockedGauge, epochGauge, availableGauge, certificateEnd, refusedWrites,
	} {
		v.DeletePartialMatch(labels)
	}
}
