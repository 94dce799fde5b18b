// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	typedcorev1 "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/tools/record"
	"k8s.io/klog/v2"
)

// requestContext bounds one request to the API server. It does not end with the part that makes it: a request given up
// half way makes client-go complain, and when the sandbox ends the API server is gone at once anyway.
func requestContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
}

// newRecorder returns a recorder of Events, and what ends it. Events tell people what the API's states don't: which
// probe failed with what, why a container was killed.
func newRecorder(client kubernetes.Interface) (record.EventRecorder, func()) {
	// Losing Events while the API server is stopped on purpose is nothing to log.
	broadcaster := record.NewBroadcaster(record.WithContext(klog.NewContext(context.Background(), logr.Discard())))
	broadcaster.StartRecordingToSink(&typedcorev1.EventSinkImpl{Interface: client.CoreV1().Events("")})
	return broadcaster.NewRecorder(scheme.Scheme, corev1.EventSource{Component: "sandbox"}), broadcaster.Shutdown
}

// warn and tell record an Event about the pod.
func (w *worker) warn(reason, format string, args ...any) {
	w.record(corev1.EventTypeWarning, reason, format, args...)
}

func (w *worker) tell(reason, format string, args ...any) {
	w.record(corev1.EventTypeNormal, reason, format, args...)
}

func (w *worker) record(kind, reason, format string, args ...any) {
	if w.ctx.Err() == nil { // nothing reads how the sandbox ended
		w.r.events.Eventf(w.latest(), kind, reason, format, args...)
	}
}
