// SPDX-License-Identifier: Apache-2.0

package simulator

import (
	"context"
	"fmt"

	"github.com/redisha/redisha/failover"
)

// effects is what the executor changes in Kubernetes (controllers/failover_effects.go).
type effects struct{ o *operator }

func (h effects) Publish(ctx context.Context, _ string, a failover.Publish) error {
	return h.write(ctx, failover.Published{Pod: a.Node.Pod, UID: a.Node.UID, IP: a.Node.IP, Epoch: a.Epoch})
}

func (h effects) Withdraw(ctx context.Context, _ string, a failover.Withdraw) error {
	return h.write(ctx, failover.Published{Epoch: a.Epoch})
}

func (h effects) write(ctx context.Context, p failover.Published) error {
	o := h.o
	known, version := o.cache.published, o.cache.slice
	if o.own.slice > version {
		known, version = o.own.published, o.own.slice
	}
	if known.Epoch > p.Epoch {
		return fmt.Errorf("epoch %d has published already", known.Epoch)
	}
	o.effect()
	o.world.checks.onEffect(o, "publish")
	o.world.checks.onPublishSent(p)
	var written int64
	err := o.call(ctx, true, func() (err error) {
		written, err = o.world.api.writeSlice(o, version, p)
		return err
	})
	if err != nil {
		o.own.slice = 0
		return err
	}
	o.own.published, o.own.slice = p, written
	return nil
}

func (h effects) Label(ctx context.Context, _ string, a failover.Label) error {
	o := h.o
	o.effect()
	own := o.own.labels[a.Node.UID]
	expected := own.labelled
	for _, p := range o.cache.pods {
		if p.uid == a.Node.UID {
			expected = max(expected, p.labelled)
		}
	}
	var version int64
	life := o.life
	err := o.call(ctx, true, func() (err error) {
		late := o.life != life || o.world.api.lease.holder != o.party || ctx.Err() != nil
		version, err = o.world.api.label(a.Node.UID, a.Role, expected, late)
		return err
	})
	if err != nil {
		o.world.api.unanswered(a.Node.UID)
		return err
	}
	o.own.labels[a.Node.UID] = ownLabel{a.Role, version, expected + 1}
	return nil
}

func (h effects) DeletePod(ctx context.Context, _ string, a failover.DeletePod) error {
	h.o.effect()
	h.o.world.checks.onEffect(h.o, "delete")
	return h.o.call(ctx, true, func() error { return h.o.world.api.deletePod(h.o, a.Node.UID) })
}

func (h effects) AcknowledgeRequest(ctx context.Context, _ string, a failover.AcknowledgeRequest) error {
	h.o.effect()
	return h.o.call(ctx, true, func() error { return h.o.world.api.acknowledge(a.ID) })
}
