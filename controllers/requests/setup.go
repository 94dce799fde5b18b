// SPDX-License-Identifier: Apache-2.0

package requests

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/tenancy"
)

// concurrent is how many requests may be worked on at the same time.
const concurrent = 4

// servedAgain is how often it is looked whether the kind is served, where it is not.
const servedAgain = 5 * time.Second

// SetupWithManager starts the controller under the name "requests" as soon as the kind is served and may be read. An
// operator that finds neither, as one does that was upgraded without its definitions or its role, works without
// requests: a manager whose cache cannot be filled would end.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager) error {
	return mgr.Add(beginning(func(ctx context.Context) error { return r.begin(ctx, mgr) }))
}

// beginning runs on standbys, too: theirs is a warm cache by the time they lead.
type beginning manager.RunnableFunc

// Start implements manager.Runnable.
func (b beginning) Start(ctx context.Context) error { return b(ctx) }

// NeedLeaderElection implements manager.LeaderElectionRunnable.
func (beginning) NeedLeaderElection() bool { return false }

func (r *Reconciler) begin(ctx context.Context, mgr ctrl.Manager) error {
	if !r.waitUntilServed(ctx, mgr.GetLogger()) {
		return nil
	}
	if err := mgr.GetFieldIndexer().IndexField(ctx, &v1alpha1.RedisHARequest{}, ByRedisHA, RedisHAOf); err != nil {
		return fmt.Errorf("indexing the requests: %w", err)
	}
	r.Client = tenancy.WithBudget(r.Client, r.Clock)
	err := ctrl.NewControllerManagedBy(mgr).
		Named("requests").
		For(&v1alpha1.RedisHARequest{}).
		Watches(&v1alpha1.RedisHA{}, handler.EnqueueRequestsFromMapFunc(r.openRequests)).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: concurrent, EnableWarmup: ptr.To(true), NewQueue: tenancy.NewQueue,
		}).
		Complete(r)
	if err != nil {
		return fmt.Errorf("building the requests controller: %w", err)
	}
	r.Inbox.Open(mgr.GetClient())
	return nil
}

// waitUntilServed returns false when ctx ends first.
func (r *Reconciler) waitUntilServed(ctx context.Context, log logr.Logger) bool {
	for told := false; ; {
		err := r.isServed(ctx)
		if err == nil {
			return true
		}
		if !told {
			log.Info(
				"RedisHARequests are not carried out: apply the definitions and the role of this version", "because", err.Error(),
			)
			told = true
		}
		select {
		case <-ctx.Done():
			return false
		case <-r.Clock.After(servedAgain):
		}
	}
}

func (r *Reconciler) isServed(ctx context.Context) error {
	namespaces := r.Namespaces
	if len(namespaces) == 0 {
		namespaces = []string{""}
	}
	for _, ns := range namespaces {
		if err := r.APIReader.List(ctx, &v1alpha1.RedisHARequestList{}, client.InNamespace(ns), client.Limit(1)); err != nil {
			return err
		}
	}
	return nil
}

// openRequests are the requests to a RedisHA that are not over.
func (r *Reconciler) openRequests(ctx context.Context, rha client.Object) []reconcile.Request {
	list := &v1alpha1.RedisHARequestList{}
	if err := r.Client.List(
		ctx, list, client.InNamespace(rha.GetNamespace()), client.MatchingFields{ByRedisHA: rha.GetName()},
	); err != nil {
		return nil
	}
	var open []reconcile.Request
	for i := range list.Items {
		if !list.Items[i].Status.State.IsOver() {
			open = append(open, reconcile.Request{NamespacedName: client.ObjectKeyFromObject(&list.Items[i])})
		}
	}
	return open
}
