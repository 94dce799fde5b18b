// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
)

// promotions watches a RedisHA for every change of its master, whoever asked for it.
type promotions struct {
	mu    sync.Mutex
	seen  []promotion
	epoch int64 // the highest, of promotions begun too
}

type promotion struct {
	at    time.Time
	pod   string
	uid   string
	epoch int64
}

// watchPromotions watches until the context ends. A watch that breaks is begun again; what happened meanwhile shows in
// the epochs, which only grow.
func watchPromotions(ctx context.Context, c client.WithWatch, key client.ObjectKey) *promotions {
	p := &promotions{}
	go func() {
		for ctx.Err() == nil {
			w, err := c.Watch(ctx, &v1alpha1.RedisHAList{}, client.InNamespace(key.Namespace),
				client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector("metadata.name", key.Name)})
			if err != nil {
				time.Sleep(100 * time.Millisecond)
				continue
			}
			p.follow(w)
		}
	}()
	return p
}

func (p *promotions) follow(w watch.Interface) {
	defer w.Stop()
	for event := range w.ResultChan() {
		if rha, ok := event.Object.(*v1alpha1.RedisHA); ok {
			p.note(&rha.Status)
		}
	}
}

func (p *promotions) note(status *v1alpha1.RedisHAStatus) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if status.Failover != nil {
		p.epoch = max(p.epoch, status.Failover.Epoch)
	}
	m := status.Master
	if m == nil {
		return
	}
	p.epoch = max(p.epoch, m.Epoch)
	if n := len(p.seen); n > 0 && p.seen[n-1].uid == m.PodUID && p.seen[n-1].epoch == m.Epoch {
		return
	}
	p.seen = append(p.seen, promotion{at: time.Now(), pod: m.Pod, uid: m.PodUID, epoch: m.Epoch})
}

// caughtUp reports whether the watch has seen that much; it may be a little late.
func (p *promotions) caughtUp(status *v1alpha1.RedisHAStatus) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.epoch >= status.Failover.Epoch && len(p.seen) > 0 && p.seen[len(p.seen)-1].uid == status.Master.PodUID
}

// count returns how many masters have been published and the highest epoch, so far.
func (p *promotions) count() (published int, epoch int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.seen), p.epoch
}
