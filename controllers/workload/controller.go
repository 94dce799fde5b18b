// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"errors"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/record"
	"k8s.io/client-go/util/workqueue"
	"k8s.io/utils/clock"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/apply"
	"github.com/redisha/redisha/controllers/encryption"
	"github.com/redisha/redisha/controllers/memory"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/controllers/tenancy"
	"github.com/redisha/redisha/failover"
)

// fieldOwner is the field manager of everything the workload controller applies.
const fieldOwner = "redisha.io/workload"

// timeout bounds one pass over one RedisHA.
const timeout = 30 * time.Second

// concurrent is how many RedisHA may be worked on at the same time.
const concurrent = 8

// Reconciler keeps everything a RedisHA owns as its spec wants it: the
// StatefulSet, Services, configuration, Secrets and disruption budget. It replaces
// outdated pods one at a time and never promotes: an outdated or leaving master is
// replaced after the failover controller has switched over.
//
// It writes nothing when nothing differs, and of the status only
// observedGeneration, replicas, readyReplicas, ready, selector and the conditions
// Progressing, Reconciled and SurvivesMachineLoss.
type Reconciler struct {
	// Client reads from the cache and writes.
	Client client.Client
	// APIReader reads past the cache: what must not be mistaken for absent, and
	// the user's Secrets, which are not cached.
	APIReader client.Reader
	// Recorder takes Events about the RedisHA.
	Recorder record.EventRecorder
	// StatusDelay is for how long the status may lag behind the pods. What changes with them is written then, in one go:
	// when they change, a failover may be under way that needs the API server more. Not at all when zero.
	StatusDelay time.Duration
	// Trial tries changed settings and users before they are applied. When nil settings are not tried, and users stay.
	Trial Trial
	// Teller changes how a Redis that runs takes connections, its users and settings; it stays as it started when nil.
	Teller Teller
	// Persists reports a Redis that writes what it has to its volume, as it was heard last, by append-only file or else by
	// snapshots. When nil each does.
	Persists func(key string, node failover.NodeRef, aof bool) bool
	// Clock measures it, and the pauses between two moves of a pod; the real one when nil.
	Clock clock.PassiveClock

	memory  memory.Store[known]
	workers tenancy.Workers
	written *tenancy.Client
}

// +kubebuilder:rbac:groups=redisha.io,resources=redishas,verbs=get;list;watch
// +kubebuilder:rbac:groups=redisha.io,resources=redishas/status,verbs=patch
// +kubebuilder:rbac:groups=redisha.io,resources=redishas/finalizers,verbs=update
// +kubebuilder:rbac:groups=apps,resources=statefulsets,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups="",resources=services;configmaps,verbs=get;list;watch;create;patch
// +kubebuilder:rbac:groups="",resources=secrets,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups=policy,resources=poddisruptionbudgets,verbs=get;list;watch;create;patch;delete
// +kubebuilder:rbac:groups="",resources=pods,verbs=get;list;watch;patch;delete
// +kubebuilder:rbac:groups="",resources=pods/resize,verbs=patch
// +kubebuilder:rbac:groups="",resources=nodes,verbs=list;watch
// +kubebuilder:rbac:groups="",resources=persistentvolumeclaims,verbs=list;watch;patch
// +kubebuilder:rbac:groups="",resources=events,verbs=list;create;patch

// SetupWithManager registers the controller under the name "workload" and fills
// the fields of r that are not set. Secrets, as everything else it owns, are
// found by the label redisha.io/name, so the manager's cache may be limited to it.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	if r.Client == nil {
		r.Client = mgr.GetClient()
	}
	if r.APIReader == nil {
		r.APIReader = mgr.GetAPIReader()
	}
	if r.Clock == nil {
		r.Clock = clock.RealClock{}
	}
	r.written = tenancy.WithBudget(r.Client, r.Clock)
	r.Client = r.written
	r.workers.All = concurrent
	byLabel := handler.EnqueueRequestsFromMapFunc(tenancy.ByName)
	return ctrl.NewControllerManagedBy(mgr).
		Named("workload").
		For(&v1alpha1.RedisHA{}).
		Owns(&appsv1.StatefulSet{}).
		Owns(&corev1.Service{}).
		Owns(&corev1.ConfigMap{}).
		Owns(&corev1.Secret{}).
		Owns(&policyv1.PodDisruptionBudget{}).
		Watches(&corev1.Pod{}, byLabel).
		Watches(&corev1.PersistentVolumeClaim{}, byLabel).
		Watches(&corev1.Node{}, r.machineChanged()).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: concurrent, EnableWarmup: ptr.To(true), NewQueue: tenancy.NewQueue,
			// Each RedisHA waits for its own failures. The default slows down for those of all.
			RateLimiter: workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](5*time.Millisecond, time.Minute),
		}).
		Complete(r)
}

// Reconcile makes one pass. An error has been put into the condition Reconciled
// before it is returned for a retry.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (ctrl.Result, error) {
	if !r.workers.Enter(req.Namespace) {
		return ctrl.Result{RequeueAfter: tenancy.WorkerPause}, nil
	}
	defer r.workers.Leave(req.Namespace)
	ctx, cancel := context.WithTimeout(tenancy.WritingFor(ctx, req.NamespacedName), timeout)
	defer cancel()
	rha := &v1alpha1.RedisHA{}
	if err := r.Client.Get(ctx, req.NamespacedName, rha); err != nil {
		if apierrors.IsNotFound(err) {
			r.memory.Forget(req.NamespacedName)
			if r.written != nil {
				r.written.Forget(req.NamespacedName)
			}
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	if !rha.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, nil
	}
	pass := &pass{Reconciler: r, rha: rha, known: r.memory.Of(req.NamespacedName), objects: r.objectsOf(rha)}
	return pass.run(ctx)
}

// known is what the controller remembers of a RedisHA from one pass to the next. Another leader begins without it.
type known struct {
	users     knownUsers
	encrypted encrypted
	settings  knownSettings
	resizes   map[types.UID]lasting // pods that were asked to take other resources
	differing lasting               // the status is not what it should be
	untried   lasting               // settings cannot be tried
	moves     moves
	absence   absence
}

// lasting is since when something has been so; zero when it is not.
type lasting struct{ since time.Time }

// lasted returns for how long it has been so that is so now.
func (l *lasting) lasted(now time.Time) time.Duration {
	if l.since.IsZero() {
		l.since = now
	}
	return now.Sub(l.since)
}

// pass is one pass over one RedisHA.
type pass struct {
	*Reconciler

	rha *v1alpha1.RedisHA
	// known is what the passes before this one have left.
	known *known
	// objects makes the objects that the RedisHA owns.
	objects *apply.Pass
	// sts is the StatefulSet before this pass; nil when there is none.
	sts *appsv1.StatefulSet
	// renewed is set when this pass has changed the StatefulSet: what sts says of the pods is out of date.
	renewed bool
	// pods are the Redis pods, by ordinal.
	pods []corev1.Pod
	// machines are where they run, and where they could.
	machines machines
	// progress is what the pods are waiting for; set by the last phase.
	progress podProgress
	// refused: Redis refuses the configuration, so it is not applied.
	refused bool
	// encryption is what was in force before this pass.
	encryption encryption.State
	// encrypting: it is on its way to what the spec wants.
	encrypting bool
	// encryptionWaits is what it is waiting for; empty when it is not.
	encryptionWaits string
	// later is a failure that did not stop the pass.
	later error
	// again is after how long there may be a pod to move, or a cause to be told; zero when that is not known.
	again time.Duration
	// proven is after how long a rollout may go on though nothing happens; zero when that is not known.
	proven time.Duration
}

func (w *pass) run(ctx context.Context) (ctrl.Result, error) {
	if err := w.load(ctx); err != nil {
		return ctrl.Result{}, err
	}
	failure := w.phases(ctx)
	if errors.Is(failure, apply.ErrOwnerGone) {
		return ctrl.Result{}, nil
	}
	if apierrors.IsConflict(failure) {
		return ctrl.Result{RequeueAfter: 100 * time.Millisecond}, nil
	}
	if wait := tenancy.PauseFor(failure); wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	later, err := w.writeStatus(ctx, failure)
	if wait := tenancy.PauseFor(err); wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	if err != nil || later > 0 {
		return ctrl.Result{RequeueAfter: later}, client.IgnoreNotFound(err)
	}
	var refused *refusal
	if errors.As(failure, &refused) {
		return ctrl.Result{RequeueAfter: refused.retryAfter}, nil
	}
	if failure != nil {
		return ctrl.Result{}, failure
	}
	return ctrl.Result{RequeueAfter: soonest(w.again, w.proven)}, nil
}

// soonest is the shorter of two times, of which zero is none.
func soonest(a, b time.Duration) time.Duration {
	if a == 0 || b > 0 && b < a {
		return b
	}
	return a
}

// phases run in this order; the first that fails is the last, but for failures that
// need not stop the others (w.later).
func (w *pass) phases(ctx context.Context) error {
	for _, phase := range []func(context.Context) error{
		w.applyNetwork, w.tryConfig, w.tellSettings, w.applyMounted, w.applyStatefulSet, w.removeUnwanted, w.keepClaims,
		w.readWindows, w.tellUsers, w.encryptProcesses, w.resizePods, w.replacePods, w.tellTrouble, w.spreadPods,
	} {
		if err := phase(ctx); err != nil {
			return errors.Join(w.later, err)
		}
	}
	return w.later
}

func (w *pass) load(ctx context.Context) error {
	key := types.NamespacedName{Namespace: w.rha.Namespace, Name: resources.StatefulSetName(w.rha.Name)}
	sts := &appsv1.StatefulSet{}
	switch err := w.Client.Get(ctx, key, sts); {
	case err == nil:
		w.sts = sts
	case !apierrors.IsNotFound(err):
		return fmt.Errorf("reading the StatefulSet: %w", err)
	}
	pods, err := w.listPods(ctx)
	if err != nil {
		return err
	}
	w.pods = pods
	if err := w.readEncryption(ctx); err != nil {
		return err
	}
	return w.lookAtMachines(ctx)
}

func (r *Reconciler) now() time.Time {
	if r.Clock == nil {
		return clock.RealClock{}.Now()
	}
	return r.Clock.Now()
}

// refusal is a failure that only a person can mend; it becomes the condition
// Reconciled with its reason, and is looked at again later.
type refusal struct {
	reason     string
	message    string
	retryAfter time.Duration
}

func (r *refusal) Error() string { return r.reason + ": " + r.message }

func refuse(reason, format string, args ...any) *refusal {
	return &refusal{reason: reason, message: fmt.Sprintf(format, args...), retryAfter: 10 * time.Second}
}
