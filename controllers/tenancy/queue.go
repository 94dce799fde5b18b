// SPDX-License-Identifier: Apache-2.0

package tenancy

import (
	"context"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/redisha/redisha/api/v1alpha1"
)

// This file sees to it that the RedisHA of one namespace do not take the workers from those of another.

// inTurns is a queue's order: the namespaces take turns, and within each the RedisHA that has waited longest is first.
// However many RedisHA of a namespace there are in the queue, those of another wait for one of them.
type inTurns struct {
	waiting map[string][]reconcile.Request
	turns   []string // the namespaces with RedisHA that wait, the next first
	length  int
}

// NewQueue is a controller's queue, with that order.
func NewQueue(name string, limiter workqueue.TypedRateLimiter[reconcile.Request]) Queue {
	return workqueue.NewTypedRateLimitingQueueWithConfig(
		limiter,
		workqueue.TypedRateLimitingQueueConfig[reconcile.Request]{
			Name: name,
			DelayingQueue: workqueue.NewTypedDelayingQueueWithConfig(workqueue.TypedDelayingQueueConfig[reconcile.Request]{
				Name: name,
				Queue: workqueue.NewTypedWithConfig(workqueue.TypedQueueConfig[reconcile.Request]{
					Name: name, Queue: &inTurns{waiting: map[string][]reconcile.Request{}},
				}),
			}),
		},
	)
}

// Touch is called for what waits already; it keeps its place.
func (q *inTurns) Touch(reconcile.Request) {}

// Push adds a RedisHA.
func (q *inTurns) Push(item reconcile.Request) {
	if len(q.waiting[item.Namespace]) == 0 {
		q.turns = append(q.turns, item.Namespace)
	}
	q.waiting[item.Namespace] = append(q.waiting[item.Namespace], item)
	q.length++
}

// Len is how many RedisHA wait.
func (q *inTurns) Len() int { return q.length }

// Pop takes the RedisHA whose turn it is.
func (q *inTurns) Pop() reconcile.Request {
	namespace := q.turns[0]
	q.turns = q.turns[1:]
	items := q.waiting[namespace]
	if len(items) == 1 {
		delete(q.waiting, namespace)
	} else {
		q.waiting[namespace] = items[1:]
		q.turns = append(q.turns, namespace)
	}
	q.length--
	return items[0]
}

// Queue is a controller's queue.
type Queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// ByName leads from an owned object to its RedisHA, by label.
func ByName(_ context.Context, obj client.Object) []reconcile.Request {
	name := obj.GetLabels()[v1alpha1.LabelName]
	if name == "" {
		return nil
	}
	return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: obj.GetNamespace(), Name: name}}}
}
