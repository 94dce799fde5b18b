// SPDX-License-Identifier: Apache-2.0

package controllers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/record"
	"k8s.io/utils/clock"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/decide"
	"github.com/redisha/redisha/failover/executor"
	"github.com/redisha/redisha/failover/prober"
)

// FailoverReconciler is the failover loop: observe, decide, persist the intent, act, observe.
// It alone promotes, writes role labels, the master's EndpointSlice and the failover's part of
// the status. The deciding itself is decide.Decide's.
type FailoverReconciler struct {
	Client   client.Client
	Reader   client.Reader // uncached, for when the cache is known to be behind
	Recorder record.EventRecorder
	Clock    clock.Clock
	Lease    executor.Lease
	// Prober's Options but for Wake, which is the reconciler's.
	Prober prober.Options
	// Concurrent is how many RedisHA may be worked on at the same time. One whose Redis hangs is worked on until its
	// orders time out; those of one namespace never take all of it.
	Concurrent int
	// Version is that of this operator, as people are told it.
	Version string
	// OnPersisted, if set, is called after each persisted transition and before its actions.
	OnPersisted func(failover.State)

	prober   *prober.Prober
	executor *executor.Executor
	observer *observer
	effects  *kubeEffects
	statuses writeCache[*v1alpha1.RedisHA]
	health   observerHealth
	schema   storedFields
	refusals refusals
	telling  telling
	workers  workers
	pace     pace
	budget   *writeBudget
	wake     func(reconcile.Request)

	mu         sync.Mutex
	passwords  map[string]string
	complaints map[string]string // about requests that cannot be read
	goneSince  map[string]time.Time
	claimed    map[string]map[failover.NodeRef]bool
	unclaimed  map[string]map[failover.NodeRef]time.Time // processes that could not be claimed, and since when, by RedisHA
	confirmed  map[string]bool                           // whose progress was read past the cache, and is known by our own writes since
}

// Bounds of one Reconcile. A running failover is carried on within one call for as long as each turn leads to the next
// at once; after stepBudget the queue gets its turn. Where there is something to wait for, the call ends: a worker
// never sleeps.
const (
	stepBudget   = time.Second
	stepAtOnce   = time.Millisecond
	stepPause    = 10 * time.Millisecond
	retryPause   = 50 * time.Millisecond
	releaseAgain = 250 * time.Millisecond
	orphanAfter  = time.Minute // pods that are still not deleted then are meant to stay
)

// +kubebuilder:rbac:groups=redisha.io,resources=redishas,verbs=get;list;watch;patch
// +kubebuilder:rbac:groups=redisha.io,resources=redishas/status,verbs=patch
// +kubebuilder:rbac:groups="",resources=pods,verbs=get;list;watch;patch;delete
// +kubebuilder:rbac:groups="",resources=nodes,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=persistentvolumeclaims,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch
// +kubebuilder:rbac:groups="",resources=events,verbs=create;patch
// +kubebuilder:rbac:groups=apps,resources=statefulsets,verbs=get;list;watch
// +kubebuilder:rbac:groups=discovery.k8s.io,resources=endpointslices,verbs=get;list;watch;create;update;delete
// +kubebuilder:rbac:groups=redisha.io,resources=redishas/finalizers,verbs=update

// Reconcile carries the failover of one RedisHA on as far as it goes now.
func (r *FailoverReconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	if !r.workers.enter(req.Namespace) {
		return ctrl.Result{RequeueAfter: workerPause}, nil
	}
	defer r.workers.leave(req.Namespace)
	result, err := r.carryOn(writingFor(ctx, req.NamespacedName), req)
	if wait := budgetPause(err); wait > 0 {
		log.FromContext(ctx).V(1).Info("waiting", "because", err.Error())
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	return result, err
}

func (r *FailoverReconciler) carryOn(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	key := req.String()
	if wait := r.pace.begin(key, r.Clock.Now()); wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	rha, err := r.loadAll(ctx, req.NamespacedName)
	if err != nil {
		return ctrl.Result{}, err
	}
	if rha == nil || rha.DeletionTimestamp != nil {
		return r.release(ctx, req.NamespacedName)
	}
	r.exists(req.NamespacedName)
	for began := r.Clock.Now(); r.Clock.Since(began) < stepBudget; {
		next, again, err := r.stepOnLatest(ctx, rha)
		if err != nil || next == nil {
			return ctrl.Result{}, err
		}
		again = r.pace.next(key, next.ResourceVersion != rha.ResourceVersion, again, r.Clock.Now())
		if again > stepAtOnce || again < 0 {
			return ctrl.Result{RequeueAfter: max(again, 0)}, nil
		}
		rha = next
		if wait := r.pace.begin(key, r.Clock.Now()); wait > 0 {
			return ctrl.Result{RequeueAfter: wait}, ctx.Err()
		}
	}
	return ctrl.Result{RequeueAfter: stepAtOnce}, ctx.Err()
}

// loadAll is load, and loads the password.
func (r *FailoverReconciler) loadAll(ctx context.Context, key client.ObjectKey) (*v1alpha1.RedisHA, error) {
	rha, err := r.load(ctx, key)
	if err != nil {
		return nil, err
	}
	return rha, r.loadPassword(ctx, key)
}

// stepOnLatest is step, but that a decision made on an old object leads to the present one; nil when it is gone. After
// writes that were refused again and again it waits.
func (r *FailoverReconciler) stepOnLatest(ctx context.Context, rha *v1alpha1.RedisHA) (*v1alpha1.RedisHA, time.Duration, error) {
	key := client.ObjectKeyFromObject(rha)
	if pause := r.refusalPause(key); pause > 0 {
		return rha, pause, nil
	}
	next, again, err := r.step(ctx, rha)
	if !apierrors.IsConflict(err) && !errors.Is(err, errOvertaken) {
		return next, again, err
	}
	r.refused(ctx, rha, err)
	next, err = r.live(ctx, key)
	return next, r.refusalPause(key), err
}

// step is one turn of the loop. again is when to take the next: negative for "when something
// changes", anything up to stepAtOnce for "within this call".
func (r *FailoverReconciler) step(ctx context.Context, rha *v1alpha1.RedisHA) (*v1alpha1.RedisHA, time.Duration, error) {
	key := client.ObjectKeyFromObject(rha)
	pods, err := r.observer.podsOf(ctx, key, rha)
	if err != nil {
		return rha, 0, err
	}
	r.prober.Ensure(key.String(), targets(pods), func() string { return r.password(key.String()) })
	obs, err := r.observer.observe(ctx, rha, pods)
	if err != nil {
		return rha, 0, err
	}
	now := r.Clock.Now()
	r.observer.remember(key.String(), now, &obs.Observation)
	obs.ObserverSuspect = r.health.suspect(key.String(), now)
	decision := decide.Decide(now, policyOf(rha), obs.Observation, progressOf(&rha.Status), r.request(rha))
	r.health.note(key.String(), decision.Diagnosis, now)
	r.measure(rha, decision, obs.Observation)

	next, wrote, err := r.persist(ctx, rha, decision, obs)
	if err != nil {
		return rha, 0, err
	}
	persisted := r.Clock.Now()
	actions, all := r.permitted(key.String(), decision.ActionsAfter(persisted.Sub(now)), r.claim(ctx, key.String(), obs.Observation), persisted)
	results := r.executor.Execute(ctx, key.String(), int(resources.RedisPort), actions)
	next = r.statuses.latest(next) // without the request, if that was acknowledged
	if wrote || len(decision.Actions) > 0 {
		log.FromContext(ctx).V(1).Info("decided", "state", decision.Next.State, "message", decision.Message, "actions", describe(results),
			"persisting", persisted.Sub(now), "acting", r.Clock.Since(persisted))
	}
	if r.report(ctx, rha, decision, results) || !all {
		if decision.Next.Running() {
			return next, stepPause, nil // one node that does not obey must not hold the others up
		}
		return next, retryPause, nil
	}
	if wrote || len(decision.Actions) > 0 {
		return next, 0, nil
	}
	return next, sooner(decision.RequeueAfter, r.telling.pending(key.String())), nil
}

// sooner is when to look again of two times to wait, of which zero is none; negative when both are.
func sooner(a, b time.Duration) time.Duration {
	switch {
	case a == 0 && b == 0:
		return -1
	case a == 0 || b != 0 && b < a:
		return b
	}
	return a
}

// request reads the request annotation. One that cannot be read, or was handled before, is answered by an Event, once,
// and stays where it is: its author mends it, and a tool that puts back what Git has finds nothing to put back.
func (r *FailoverReconciler) request(rha *v1alpha1.RedisHA) *failover.Request {
	request, err := requestOf(rha)
	key, reason, complaint := client.ObjectKeyFromObject(rha).String(), eventInvalidRequest, ""
	switch {
	case err != nil:
		complaint = err.Error()
	case request != nil && wasHandled(rha):
		reason, complaint = eventRequestRepeated, fmt.Sprintf("%q was handled before, and does not run again; to ask again, put another ID behind it: %s",
			request.ID, anotherID(request.ID))
		request = nil
	}
	r.mu.Lock()
	known := r.complaints[key] == complaint
	r.complaints[key] = complaint
	r.mu.Unlock()
	if complaint != "" && !known {
		r.Recorder.Event(rha, corev1.EventTypeWarning, reason, complaint)
	}
	return request
}

// describe names the actions with how long each took.
func describe(results []executor.Result) []string {
	names := make([]string, 0, len(results))
	for _, res := range results {
		names = append(names, fmt.Sprintf("%T(%s) in %s", res.Action, res.Action.Target().Pod, res.Took.Round(10*time.Microsecond)))
	}
	return names
}

// report logs what did not work; it tells whether anything did not.
func (r *FailoverReconciler) report(ctx context.Context, rha *v1alpha1.RedisHA, d failover.Decision, results []executor.Result) bool {
	failed := false
	for _, res := range results {
		if res.Err == nil {
			continue
		}
		failed = true
		if errors.Is(res.Err, errPublishedLater) {
			log.FromContext(ctx).Error(res.Err, "the Service was not led elsewhere", "redisha", client.ObjectKeyFromObject(rha))
		}
		// A failed action is tried again as long as it is needed; what that needs to tell is in the message.
		log.FromContext(ctx).V(1).Info("action failed", "action", fmt.Sprintf("%T", res.Action), "target", res.Action.Target().Pod,
			"error", res.Err.Error(), "took", res.Took, "state", d.Next.State, "redisha", client.ObjectKeyFromObject(rha))
	}
	return failed
}

// release lets go of a RedisHA that is being deleted. A master whose pod goes with it is fenced,
// so that its preStop hook does not wait for a successor that will never be. Pods that stay
// (an orphaning deletion) are left exactly as they are.
func (r *FailoverReconciler) release(ctx context.Context, key client.ObjectKey) (ctrl.Result, error) {
	pods, err := r.observer.podsOf(ctx, key, nil)
	if err != nil {
		return ctrl.Result{}, err
	}
	leaving := map[string]bool{} // by UID
	for i := range pods {
		if pods[i].DeletionTimestamp != nil {
			leaving[string(pods[i].UID)] = true
		}
	}
	// The garbage collector comes to the pods a while after the RedisHA is gone.
	if len(pods) == 0 || (len(leaving) == 0 && r.goneFor(key) > orphanAfter) {
		r.forget(key)
		return ctrl.Result{}, nil
	}
	r.prober.Ensure(key.String(), targets(pods), func() string { return r.password(key.String()) })
	var actions []failover.Action
	for _, n := range r.prober.Observe(key.String()) {
		if leaving[n.UID] && n.Answers() && n.Replication.Role == failover.RoleMaster {
			actions = append(actions, failover.Detach{Node: n.Ref(), Within: failover.DetachWithin})
		}
	}
	r.executor.Execute(ctx, key.String(), int(resources.RedisPort), actions)
	return ctrl.Result{RequeueAfter: releaseAgain}, nil
}

// exists forgets that a RedisHA of that name was deleted once.
func (r *FailoverReconciler) exists(key client.ObjectKey) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.goneSince, key.String())
}

// goneFor is for how long the RedisHA has been known to be deleted.
func (r *FailoverReconciler) goneFor(key client.ObjectKey) time.Duration {
	now := r.Clock.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.goneSince[key.String()]; !ok {
		r.goneSince[key.String()] = now
	}
	return now.Sub(r.goneSince[key.String()])
}

func (r *FailoverReconciler) forget(key client.ObjectKey) {
	r.prober.Remove(key.String())
	r.health.forget(key.String())
	r.observer.forget(key.String())
	r.pace.forget(key.String())
	if r.budget != nil {
		r.budget.forget(key)
	}
	forgetMetrics(key)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refusals.forget(key.String())
	r.telling.forget(key.String())
	delete(r.passwords, key.String())
	delete(r.claimed, key.String())
	delete(r.unclaimed, key.String())
	delete(r.confirmed, key.String())
	delete(r.complaints, key.String())
	delete(r.goneSince, key.String())
}

// loadPassword keeps the password in force at hand for the next connection.
func (r *FailoverReconciler) loadPassword(ctx context.Context, key client.ObjectKey) error {
	var secret corev1.Secret
	err := r.Client.Get(ctx, client.ObjectKey{Namespace: key.Namespace, Name: resources.MountSecretName(key.Name)}, &secret)
	if apierrors.IsNotFound(err) {
		return nil // not made yet, or deleted a moment ago: what is known is kept
	}
	if err != nil {
		return fmt.Errorf("reading the password: %w", err)
	}
	if owner := secret.Labels[v1alpha1.LabelName]; owner != "" && owner != key.Name {
		return nil // another RedisHA's password is not sent to these pods
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.passwords[key.String()] = string(secret.Data[resources.PasswordKey])
	return nil
}

func (r *FailoverReconciler) password(key string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.passwords[key]
}
