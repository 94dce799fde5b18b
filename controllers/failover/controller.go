// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"errors"
	"fmt"
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
	"github.com/redisha/redisha/controllers/memory"
	"github.com/redisha/redisha/controllers/requests"
	"github.com/redisha/redisha/controllers/tenancy"
	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/decide"
	"github.com/redisha/redisha/failover/executor"
	"github.com/redisha/redisha/failover/prober"
)

// Reconciler is the failover loop: observe, decide, persist the intent, act, observe.
// It alone promotes, writes role labels, the master's EndpointSlice and the failover's part of
// the status. The deciding itself is decide.Decide's.
type Reconciler struct {
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
	// DrainTaints are the keys of taints that say that a Kubernetes node is about to be removed; see podstate.IsLeaving.
	DrainTaints []string
	// Version is that of this operator, as people are told it.
	Version string
	// Inbox has what people ask for by a RedisHARequest; nothing when nil.
	Inbox *requests.Inbox
	// OnPersisted, if set, is called after each persisted transition and before its actions.
	OnPersisted func(failover.State)

	prober   *prober.Prober
	executor *executor.Executor
	observer observer
	effects  *kubeEffects
	statuses memory.Written[*v1alpha1.RedisHA]
	health   observerHealth
	schema   storedFields
	memory   memory.Store[known]
	workers  tenancy.Workers
	written  *tenancy.Client
	wake     func(reconcile.Request)
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
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	if !r.workers.Enter(req.Namespace) {
		return ctrl.Result{RequeueAfter: tenancy.WorkerPause}, nil
	}
	defer r.workers.Leave(req.Namespace)
	result, err := r.carryOn(tenancy.WritingFor(ctx, req.NamespacedName), req)
	if wait := tenancy.PauseFor(err); wait > 0 {
		log.FromContext(ctx).V(1).Info("waiting", "because", err.Error())
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	return result, err
}

func (r *Reconciler) carryOn(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	known := r.memory.Of(req.NamespacedName)
	if wait := known.turns.begin(r.Clock.Now()); wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	rha, err := r.loadAll(ctx, req.NamespacedName)
	if err != nil {
		return ctrl.Result{}, err
	}
	if rha == nil || rha.DeletionTimestamp != nil {
		return r.release(ctx, req.NamespacedName)
	}
	known.goneSince = time.Time{} // one of that name may have been deleted once
	for began := r.Clock.Now(); r.Clock.Since(began) < stepBudget; {
		next, again, err := r.stepOnLatest(ctx, rha)
		if err != nil || next == nil {
			return ctrl.Result{}, err
		}
		again = known.turns.next(next.ResourceVersion != rha.ResourceVersion, again, r.Clock.Now())
		if wait, timed := again.Wait(); !timed || wait > stepAtOnce {
			return ctrl.Result{RequeueAfter: wait}, nil
		}
		rha = next
		if wait := known.turns.begin(r.Clock.Now()); wait > 0 {
			return ctrl.Result{RequeueAfter: wait}, ctx.Err()
		}
	}
	return ctrl.Result{RequeueAfter: stepAtOnce}, ctx.Err()
}

// loadAll is load, and loads how its Redis is talked to.
func (r *Reconciler) loadAll(ctx context.Context, key client.ObjectKey) (*v1alpha1.RedisHA, error) {
	rha, err := r.load(ctx, key)
	if err != nil {
		return nil, err
	}
	return rha, r.loadAccess(ctx, key)
}

// stepOnLatest is step, but that a decision made on an old object leads to the present one; nil when it is gone. After
// writes that were refused again and again it waits.
func (r *Reconciler) stepOnLatest(
	ctx context.Context, rha *v1alpha1.RedisHA,
) (*v1alpha1.RedisHA, failover.Again, error) {
	key := client.ObjectKeyFromObject(rha)
	if pause := r.refusalPause(key); pause > 0 {
		return rha, failover.After(pause), nil
	}
	next, again, err := r.step(ctx, rha)
	if !apierrors.IsConflict(err) && !errors.Is(err, errOvertaken) {
		return next, again, err
	}
	r.refused(ctx, rha, err)
	next, err = r.live(ctx, key)
	return next, failover.After(r.refusalPause(key)), err
}

// step is one turn of the loop. again is when to take the next: anything up to stepAtOnce means within this call.
func (r *Reconciler) step(
	ctx context.Context, rha *v1alpha1.RedisHA,
) (next *v1alpha1.RedisHA, again failover.Again, err error) {
	key := client.ObjectKeyFromObject(rha)
	known := r.memory.Of(key)
	obs, now, err := r.look(ctx, rha, known)
	if err != nil {
		return rha, again, err
	}
	decision, err := r.decide(ctx, rha, &obs, now)
	if err != nil {
		return rha, again, err
	}

	next, wrote, err := r.persist(ctx, rha, decision, obs)
	if err = errors.Join(err, decision.Err); err != nil {
		return rha, again, err
	}
	persisted := r.Clock.Now()
	actions, all := known.claims.permitted(
		decision.ActionsAfter(persisted.Sub(now)), r.claim(ctx, key.String(), obs.Observation, &known.claims), persisted,
	)
	results := r.executor.Execute(ctx, key.String(), known.master(), actions)
	next = r.statuses.Latest(next) // without the request, if that was acknowledged
	if wrote || len(decision.Actions) > 0 {
		log.FromContext(ctx).
			V(1).
			Info("decided", "state", decision.Next.State, "message", decision.Message, "actions", describe(results),
				"persisting", persisted.Sub(now), "acting", r.Clock.Since(persisted))
	}
	if r.report(ctx, rha, decision, results) || !all {
		if decision.Next.Running() {
			return next, failover.After(stepPause), nil // one node that does not obey must not hold the others up
		}
		return next, failover.After(retryPause), nil
	}
	if wrote || len(decision.Actions) > 0 {
		return next, failover.Now(), nil
	}
	return next, decision.Again.Sooner(known.telling.pending()).Sooner(obs.turns), nil
}

// look is what there is to be seen of a RedisHA, and when it was.
func (r *Reconciler) look(
	ctx context.Context, rha *v1alpha1.RedisHA, known *known,
) (obs sighting, now time.Time, err error) {
	key := client.ObjectKeyFromObject(rha)
	observer := r.observer.with(&known.sight)
	pods, err := observer.podsOf(ctx, key, rha)
	if err != nil {
		return obs, now, err
	}
	r.prober.Ensure(key.String(), targets(key, pods, known.encryption()), known.credentials())
	if obs, err = observer.observe(ctx, rha, pods); err != nil {
		return obs, now, err
	}
	now = r.Clock.Now()
	observer.remember(now, &obs.Observation)
	return obs, now, nil
}

// decide is the core's word on what is seen, with what else the decision depends on.
func (r *Reconciler) decide(
	ctx context.Context, rha *v1alpha1.RedisHA, obs *sighting, now time.Time,
) (failover.Decision, error) {
	request, err := r.request(ctx, rha)
	if err != nil {
		return failover.Decision{}, err
	}
	key := client.ObjectKeyFromObject(rha).String()
	obs.ObserverSuspect = r.health.suspect(key, now)
	policy := policyOf(rha)
	policy.Hibernate = obs.hibernate
	decision := decide.Decide(now, policy, obs.Observation, progressOf(&rha.Status), request)
	r.health.note(key, decision.Diagnosis, now)
	r.measure(rha, decision, obs.Observation)
	return decision, nil
}

// request is what a person asks for: by the annotation, or else by a RedisHARequest.
func (r *Reconciler) request(ctx context.Context, rha *v1alpha1.RedisHA) (*failover.Request, error) {
	request := r.annotated(rha)
	if request != nil || r.Inbox == nil {
		return request, nil
	}
	return r.Inbox.Next(ctx, rha, r.Clock.Now())
}

// annotated reads the request annotation. One that cannot be read, or was handled before, is answered by an Event,
// once, and stays where it is: its author mends it, and a tool that puts back what Git has finds nothing to put back.
func (r *Reconciler) annotated(rha *v1alpha1.RedisHA) *failover.Request {
	request, err := requests.Of(rha)
	reason, complaint := v1alpha1.EventInvalidRequest, ""
	switch {
	case err != nil:
		complaint = err.Error()
	case request != nil && requests.WasHandled(rha):
		reason, complaint = v1alpha1.EventRequestRepeated, fmt.Sprintf(
			"%q was handled before, and does not run again; to ask again, put another ID behind it: %s", request.ID,
			requests.AnotherID(request.ID),
		)
		request = nil
	}
	known := r.memory.Of(client.ObjectKeyFromObject(rha))
	told := known.complaint == complaint
	known.complaint = complaint
	if complaint != "" && !told {
		r.Recorder.Event(rha, corev1.EventTypeWarning, reason, complaint)
	}
	return request
}

// describe names the actions with how long each took.
func describe(results []executor.Result) []string {
	names := make([]string, 0, len(results))
	for _, res := range results {
		names = append(
			names, fmt.Sprintf("%T(%s) in %s", res.Action, res.Action.Target().Pod, res.Took.Round(10*time.Microsecond)),
		)
	}
	return names
}

// report logs what did not work; it tells whether anything did not.
func (r *Reconciler) report(
	ctx context.Context, rha *v1alpha1.RedisHA, d failover.Decision, results []executor.Result,
) bool {
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
		log.FromContext(ctx).
			V(1).
			Info("action failed", "action", fmt.Sprintf("%T", res.Action), "target", res.Action.Target().Pod,
				"error", res.Err.Error(), "took", res.Took, "state", d.Next.State, "redisha", client.ObjectKeyFromObject(rha))
	}
	return failed
}

// release lets go of a RedisHA that is being deleted. A master whose pod goes with it is fenced,
// so that its preStop hook does not wait for a successor that will never be. Pods that stay
// (an orphaning deletion) are left exactly as they are.
func (r *Reconciler) release(ctx context.Context, key client.ObjectKey) (ctrl.Result, error) {
	known := r.memory.Of(key)
	pods, err := r.observer.with(&known.sight).podsOf(ctx, key, nil)
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
	if len(pods) == 0 || (len(leaving) == 0 && known.goneFor(r.Clock.Now()) > orphanAfter) {
		r.forget(key)
		return ctrl.Result{}, nil
	}
	r.prober.Ensure(key.String(), targets(key, pods, known.encryption()), known.credentials())
	var actions []failover.Action
	for _, n := range r.prober.Observe(key.String()) {
		if leaving[n.UID] && n.Answers() && n.Replication.Role == failover.RoleMaster {
			actions = append(actions, failover.Detach{Node: n.Ref(), Within: failover.DetachWithin})
		}
	}
	r.executor.Execute(ctx, key.String(), known.master(), actions)
	return ctrl.Result{RequeueAfter: releaseAgain}, nil
}

func (r *Reconciler) forget(key client.ObjectKey) {
	r.prober.Remove(key.String())
	r.health.forget(key.String())
	r.memory.Forget(key)
	if r.written != nil {
		r.written.Forget(key)
	}
	forgetMetrics(key)
}
