// SPDX-License-Identifier: Apache-2.0

package requests

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/conditions"
	"github.com/redisha/redisha/controllers/tenancy"
)

// fieldOwner is the field manager of what this controller writes.
const fieldOwner = "redisha.io/requests"

// overdue is for how long after its deadline a request is not failed yet: the failover controller may have taken it up
// at the last moment.
const overdue = 5 * time.Second

// Reconciler tells each RedisHARequest what has become of it. The failover controller carries requests out, and writes
// the outcome down with its progress; a restart is this controller's.
type Reconciler struct {
	// Client reads from a cache and writes.
	Client client.Client
	// APIReader reads past the cache: whether the kind is served.
	APIReader client.Reader
	// Namespaces are those that the operator works in; all when empty.
	Namespaces []string
	// Clock dates what happens.
	Clock clock.Clock
	// Inbox is opened when the kind is served.
	Inbox *Inbox
	// Wake has the failover controller look at a RedisHA.
	Wake func(client.ObjectKey)
}

// +kubebuilder:rbac:groups=redisha.io,resources=redisharequests,verbs=list;watch;delete
// +kubebuilder:rbac:groups=redisha.io,resources=redisharequests/status,verbs=patch
// +kubebuilder:rbac:groups=redisha.io,resources=redishas,verbs=get;list;watch
// +kubebuilder:rbac:groups=apps,resources=statefulsets,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups="",resources=pods,verbs=get;list;watch

// Reconcile looks at one request.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	request := &v1alpha1.RedisHARequest{}
	if err := r.Client.Get(ctx, req.NamespacedName, request); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	key := client.ObjectKey{Namespace: request.Namespace, Name: request.Spec.RedisHA}
	defer r.Wake(key) // to carry it out, or the next one
	result, err := r.look(tenancy.WritingFor(ctx, key), key, request)
	if wait := tenancy.PauseFor(err); wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	return result, err
}

func (r *Reconciler) look(
	ctx context.Context, key client.ObjectKey, request *v1alpha1.RedisHARequest,
) (ctrl.Result, error) {
	if request.Status.State.IsOver() {
		return r.expire(ctx, request)
	}
	rha := &v1alpha1.RedisHA{}
	if err := r.Client.Get(ctx, key, rha); apierrors.IsNotFound(err) {
		rha = nil
	} else if err != nil {
		return ctrl.Result{}, fmt.Errorf("reading the RedisHA: %w", err)
	}
	is, begun, err := r.judge(ctx, request, rha)
	if err != nil {
		return ctrl.Result{}, err
	}
	if err := r.tell(ctx, request, is, begun); err != nil || is.State.IsOver() {
		return ctrl.Result{}, err // that it is over leads here again
	}
	return ctrl.Result{RequeueAfter: max(deadline(request).Add(overdue).Sub(r.Clock.Now()), overdue)}, nil
}

// expire deletes a request that is over for as long as it says.
func (r *Reconciler) expire(ctx context.Context, request *v1alpha1.RedisHARequest) (ctrl.Result, error) {
	ttl, finished := request.Spec.TTLSecondsAfterFinished, request.Status.FinishedAt
	if ttl == nil || finished == nil || request.DeletionTimestamp != nil {
		return ctrl.Result{}, nil
	}
	if left := finished.Add(time.Duration(*ttl) * time.Second).Sub(r.Clock.Now()); left > 0 {
		return ctrl.Result{RequeueAfter: left}, nil
	}
	err := r.Client.Delete(ctx, request, client.Preconditions{UID: &request.UID})
	return ctrl.Result{}, client.IgnoreNotFound(err)
}

// judge says what has become of a request that is not over, for all that is known, and whether it was begun. rha is nil
// when there is none.
func (r *Reconciler) judge(
	ctx context.Context, request *v1alpha1.RedisHARequest, rha *v1alpha1.RedisHA,
) (is v1alpha1.RequestStatus, begun bool, err error) {
	if rha != nil && request.Spec.Action == v1alpha1.ActionRestart {
		if is, begun, err = r.restarting(ctx, request, rha); err != nil || begun {
			return is, begun, err
		}
	}
	if rha != nil {
		if is, begun = Outcome(rha, id(request)); begun {
			return is, true, nil
		}
	}
	why := waitingFor(request, rha)
	switch {
	case rha != nil && rha.Status.Master != nil && !isMaster(rha, request):
		return failed(
			v1alpha1.ReasonPreconditionFailed, "spec.ifMaster is %s, and the master is %s", request.Spec.IfMaster,
			rha.Status.Master.Pod,
		), false, nil
	case r.Clock.Now().After(deadline(request).Add(overdue)):
		return failed(
			v1alpha1.ReasonDeadlineExceeded, "not begun within %d s: %s", request.Spec.DeadlineSeconds, why,
		), false, nil
	}
	return v1alpha1.RequestStatus{State: v1alpha1.RequestPending, Message: why}, false, nil
}

func failed(reason, format string, args ...any) v1alpha1.RequestStatus {
	return v1alpha1.RequestStatus{State: v1alpha1.RequestFailed, Reason: reason, Message: fmt.Sprintf(format, args...)}
}

// waitingFor says why a request has not been begun.
func waitingFor(request *v1alpha1.RedisHARequest, rha *v1alpha1.RedisHA) string {
	switch {
	case rha == nil:
		return fmt.Sprintf("there is no RedisHA %s in namespace %s", request.Spec.RedisHA, request.Namespace)
	case rha.Spec.Failover.Mode == v1alpha1.ModePaused:
		return "spec.failover.mode of the RedisHA is Paused"
	case rha.Status.Failover == nil || rha.Status.Master == nil:
		return "the RedisHA has no master"
	}
	return fmt.Sprintf(
		"waiting for its turn; the failover state is %s: %s", rha.Status.Failover.State, rha.Status.Failover.Message,
	)
}

// tell writes what has become of a request, if that is news.
func (r *Reconciler) tell(
	ctx context.Context, request *v1alpha1.RedisHARequest, is v1alpha1.RequestStatus, begun bool,
) error {
	now := metav1.NewMicroTime(r.Clock.Now())
	next := request.DeepCopy()
	status := &next.Status
	status.State, status.Reason, status.Message = is.State, is.Reason, conditions.Bounded(is.Message)
	if begun && status.StartedAt == nil {
		status.StartedAt = &now
	}
	if is.State.IsOver() {
		status.FinishedAt = &now
		c := conditions.New(v1alpha1.ConditionComplete, true, v1alpha1.ReasonDone, is.Message)
		if is.State == v1alpha1.RequestFailed {
			c = conditions.New(v1alpha1.ConditionFailed, true, is.Reason, is.Message)
		}
		c.ObservedGeneration = request.Generation
		meta.SetStatusCondition(&status.Conditions, c)
	}
	if equality.Semantic.DeepEqual(*status, request.Status) {
		return nil
	}
	err := r.Client.Status().Patch(ctx, next, client.MergeFrom(request), client.FieldOwner(fieldOwner))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("writing the status of request %s: %w", request.Name, err)
	}
	return nil
}
