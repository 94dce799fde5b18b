// SPDX-License-Identifier: Apache-2.0

package requests

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/failover"
)

// ByRedisHA is the index of RedisHARequests by the RedisHA that they are about.
const ByRedisHA = "spec.redisHA"

// RedisHAOf is what ByRedisHA indexes.
func RedisHAOf(request client.Object) []string {
	return []string{request.(*v1alpha1.RedisHARequest).Spec.RedisHA}
}

// Inbox holds the RedisHARequests that wait to be carried out. It is empty until the kind is served: an operator that
// is newer than the definitions, or than its role, fails over as any other.
type Inbox struct {
	reader atomic.Pointer[client.Reader]
}

// Open has the inbox read from a reader that has the index ByRedisHA.
func (b *Inbox) Open(reader client.Reader) { b.reader.Store(&reader) }

// Next is the request that the core is to carry out now; nil when there is none. The next one comes when the one before
// it has been told what became of it, so that the status does not forget it earlier.
func (b *Inbox) Next(ctx context.Context, rha *v1alpha1.RedisHA, now time.Time) (*failover.Request, error) {
	reader := b.reader.Load()
	if reader == nil {
		return nil, nil
	}
	list := &v1alpha1.RedisHARequestList{}
	if err := (*reader).List(
		ctx, list, client.InNamespace(rha.Namespace), client.MatchingFields{ByRedisHA: rha.Name},
	); err != nil {
		return nil, fmt.Errorf("listing the requests: %w", err)
	}
	slices.SortFunc(list.Items, func(a, b v1alpha1.RedisHARequest) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	for i := range list.Items {
		request := &list.Items[i]
		outcome, begun := Outcome(rha, id(request))
		if begun && outcome.State.IsOver() && !request.Status.State.IsOver() {
			return nil, nil
		}
		if verb, core := verbs[request.Spec.Action]; core && !request.Status.State.IsOver() &&
			(begun || mayBegin(rha, request, now)) {
			return &failover.Request{ID: id(request), Verb: verb, Target: request.Spec.Pod}, nil
		}
	}
	return nil, nil
}

// mayBegin reports a request that is not late, not taken back, and whose precondition holds.
func mayBegin(rha *v1alpha1.RedisHA, request *v1alpha1.RedisHARequest, now time.Time) bool {
	return request.DeletionTimestamp == nil && !now.After(deadline(request)) && isMaster(rha, request)
}

// verbs are the actions that the core carries out.
var verbs = map[v1alpha1.RequestAction]failover.Verb{
	v1alpha1.ActionSwitchover:    failover.VerbSwitchover,
	v1alpha1.ActionForceFailover: failover.VerbForce,
	v1alpha1.ActionDiscard:       failover.VerbDiscard,
}

const ofObject = "rhareq/"

// IsObject reports the ID of a RedisHARequest. Any other is the value of the annotation.
func IsObject(id string) bool { return strings.HasPrefix(id, ofObject) }

// id names a request in the status of its RedisHA. The prefix is no request that an annotation can make.
func id(request *v1alpha1.RedisHARequest) string {
	return ofObject + request.Name + "/" + string(request.UID)
}

// deadline is until when the request may be begun.
func deadline(request *v1alpha1.RedisHARequest) time.Time {
	return request.CreationTimestamp.Add(time.Duration(request.Spec.DeadlineSeconds) * time.Second)
}

// isMaster reports that the precondition of the request holds. It is judged on the object that the progress is swapped
// on, so that another master in between lets the write be refused.
func isMaster(rha *v1alpha1.RedisHA, request *v1alpha1.RedisHARequest) bool {
	return request.Spec.IfMaster == "" || rha.Status.Master != nil && rha.Status.Master.Pod == request.Spec.IfMaster
}
