// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/conditions"
	"github.com/redisha/redisha/controllers/podstate"
	"github.com/redisha/redisha/controllers/resources"
)

// writeStatus applies this controller's part of the status if it differs, or says
// after how long it would (StatusDelay). The failover controller's part and
// conditions are not touched.
func (w *pass) writeStatus(ctx context.Context, failure error) (later time.Duration, err error) {
	status := w.rha.Status.DeepCopy()
	w.fillStatus(status, failure)
	if equality.Semantic.DeepEqual(status, &w.rha.Status) {
		w.known.differing = lasting{}
		return 0, nil
	}
	if w.StatusDelay > 0 && failure == nil && w.told(status) {
		if left := w.StatusDelay - w.known.differing.lasted(w.Clock.Now()); left > 0 {
			return left, nil
		}
	}
	w.report(status)
	w.reportStop(status)
	patch, err := statusConfiguration(w.rha, status)
	if err != nil {
		return 0, err
	}
	err = w.Client.Status().Apply(
		ctx, client.ApplyConfigurationFromUnstructured(patch), client.FieldOwner(fieldOwner), client.ForceOwnership,
	)
	if err != nil {
		return 0, fmt.Errorf("writing the status: %w", err)
	}
	w.known.differing = lasting{}
	return 0, nil
}

// told says that the status is of the present spec, so that what differs is what the pods have come to.
func (w *pass) told(status *v1alpha1.RedisHAStatus) bool {
	before := meta.FindStatusCondition(w.rha.Status.Conditions, v1alpha1.ConditionReconciled)
	return before != nil && before.ObservedGeneration == w.rha.Generation &&
		status.ObservedGeneration == w.rha.Status.ObservedGeneration
}

func (w *pass) fillStatus(status *v1alpha1.RedisHAStatus, failure error) {
	var ready int32
	for i := range w.pods {
		if podstate.IsReady(&w.pods[i]) {
			ready++
		}
	}
	told := meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionReady)
	if told != nil && told.ObservedGeneration == w.rha.Generation {
		// not before: who waits for a change looks at it first, and then at Ready
		status.ObservedGeneration = w.rha.Generation
	}
	status.Replicas = int32(len(w.pods)) //nolint:gosec // at most a handful of pods
	status.ReadyReplicas = ready
	status.Ready = fmt.Sprintf("%d/%d", ready, resources.Replicas(w.rha))
	status.Selector = labels.SelectorFromSet(resources.SelectorLabels(w.rha.Name)).String()
	setCondition(status, w.rha, reconciled(failure))
	progress := w.progress
	if progress.reason == "" && meta.FindStatusCondition(status.Conditions, v1alpha1.ConditionProgressing) == nil {
		progress = podProgress{v1alpha1.ReasonCreating, "the pods cannot be created yet; see the condition Reconciled"}
	}
	if progress = w.encryptionProgress(progress); progress.reason != "" {
		setCondition(status, w.rha, progressing(progress))
	}
	tls, certificate := w.tlsStatus()
	status.TLS = tls
	if certificate == nil {
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ConditionCertificateValid)
	} else {
		setCondition(status, w.rha, *certificate)
	}
	if survival := w.placement().survival(); survival != nil {
		setCondition(status, w.rha, *survival)
	}
}

func setCondition(status *v1alpha1.RedisHAStatus, rha *v1alpha1.RedisHA, condition metav1.Condition) {
	condition.ObservedGeneration = rha.Generation
	meta.SetStatusCondition(&status.Conditions, condition)
}

func reconciled(failure error) metav1.Condition {
	condition := metav1.Condition{
		Type: v1alpha1.ConditionReconciled, Status: metav1.ConditionTrue,
		Reason: v1alpha1.ReasonApplied, Message: "every owned object is as the spec wants it",
	}
	if failure == nil {
		return condition
	}
	condition.Status, condition.Reason = metav1.ConditionFalse, v1alpha1.ReasonApplyFailed
	condition.Message = failure.Error()
	var refused *refusal
	if errors.As(failure, &refused) {
		condition.Reason, condition.Message = refused.reason, messages(failure)
	}
	return condition
}

// messages are those of everything that failed, the refusals' in words for people.
func messages(failure error) string {
	if refused, ok := failure.(*refusal); ok { //nolint:errorlint // what was joined is looked at one by one
		return refused.message
	}
	joined, ok := failure.(interface{ Unwrap() []error })
	if !ok {
		return failure.Error()
	}
	var all []string
	for _, each := range joined.Unwrap() {
		all = append(all, messages(each))
	}
	return strings.Join(all, "; ")
}

func progressing(progress podProgress) metav1.Condition {
	condition := metav1.Condition{
		Type: v1alpha1.ConditionProgressing, Status: metav1.ConditionTrue,
		Reason: progress.reason, Message: progress.message,
	}
	switch progress.reason {
	case v1alpha1.ReasonUpToDate, v1alpha1.ReasonHibernated, v1alpha1.ReasonWaitingForApproval,
		v1alpha1.ReasonWaitingForDeletion, v1alpha1.ReasonWaitingForMaintenanceWindow:
		condition.Status = metav1.ConditionFalse
	}
	return condition
}

// report emits an Event when the reason of a refusal is new, or a pod has another trouble than before.
func (w *pass) report(status *v1alpha1.RedisHAStatus) {
	before, now := w.both(status, v1alpha1.ConditionReconciled)
	if now != nil && now.Status == metav1.ConditionFalse && (before == nil || before.Reason != now.Reason) {
		w.Recorder.Event(w.rha, corev1.EventTypeWarning, now.Reason, now.Message)
	}
	before, now = w.both(status, v1alpha1.ConditionProgressing)
	if now != nil && conditions.IsTrouble(now.Reason) &&
		(before == nil || before.Reason != now.Reason || before.Message != now.Message) {
		w.Recorder.Event(w.rha, corev1.EventTypeWarning, now.Reason, now.Message)
	}
}

// both are a condition as it was and as it is to be.
func (w *pass) both(status *v1alpha1.RedisHAStatus, kind string) (before, now *metav1.Condition) {
	return meta.FindStatusCondition(w.rha.Status.Conditions, kind), meta.FindStatusCondition(status.Conditions, kind)
}

// statusConfiguration is the part of the status this controller owns.
func statusConfiguration(rha *v1alpha1.RedisHA, status *v1alpha1.RedisHAStatus) (*unstructured.Unstructured, error) {
	var conditions []any
	for _, kind := range []string{
		v1alpha1.ConditionReconciled, v1alpha1.ConditionProgressing, v1alpha1.ConditionSurvivesMachineLoss,
		v1alpha1.ConditionCertificateValid,
	} {
		condition := meta.FindStatusCondition(status.Conditions, kind)
		if condition == nil {
			continue
		}
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(condition)
		if err != nil {
			return nil, err
		}
		conditions = append(conditions, content)
	}
	ours := map[string]any{
		"observedGeneration": status.ObservedGeneration,
		"replicas":           int64(status.Replicas),
		"readyReplicas":      int64(status.ReadyReplicas),
		"ready":              status.Ready,
		"selector":           status.Selector,
		"conditions":         conditions,
	}
	if status.TLS != nil {
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(status.TLS)
		if err != nil {
			return nil, err
		}
		ours["tls"] = content
	}
	patch := &unstructured.Unstructured{Object: map[string]any{"status": ours}}
	patch.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind("RedisHA"))
	patch.SetNamespace(rha.Namespace)
	patch.SetName(rha.Name)
	patch.SetUID(rha.UID)
	return patch, nil
}
