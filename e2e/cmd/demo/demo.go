// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/e2e/chaos"
	"github.com/redisha/redisha/e2e/sandbox"
	"github.com/redisha/redisha/e2e/testbed"
)

// demo is the demonstration while it runs.
type demo struct {
	*screen
	logs       string
	sandbox    *sandbox.Sandbox
	bed        *testbed.Testbed
	key        client.ObjectKey
	writers    *chaos.Writers
	promotions *promotions
	lost       int64 // of all that were acknowledged so far
	results    []result
	stopWatch  context.CancelFunc
}

// result is a row of the table at the end.
type result struct {
	fault     fault
	gap       chaos.Gap
	acked     int64
	lost      int64
	recovered time.Duration
	// before is how many masters had been published, and up to which epoch, when the fault was about to happen.
	published int
	epoch     int64
}

func (p *demo) setUp(ctx context.Context) error {
	p.begin()
	var err error
	p.sandbox, err = sandbox.Start(ctx, sandbox.Options{LogDir: filepath.Join(p.logs, "sandbox"), Progress: p})
	if err != nil {
		return err
	}
	p.done("a Kubernetes API server, three nodes")
	p.bed, err = testbed.Up(ctx, p.sandbox, testbed.Options{LogDir: p.logs, Progress: p})
	if err != nil {
		return err
	}
	p.done("the operator: one process leads, one stands by")
	if err := p.applySamples(ctx); err != nil {
		return err
	}
	return p.startWriters(ctx)
}

// applySamples does what a newcomer does. The faults happen to the first of the samples that is highly available.
func (p *demo) applySamples(ctx context.Context) error {
	if err := p.bed.ApplyConfig(ctx, "samples", ""); err != nil {
		return err
	}
	all := &v1alpha1.RedisHAList{}
	if err := p.bed.Client.List(ctx, all); err != nil {
		return err
	}
	for i := range all.Items {
		key := client.ObjectKeyFromObject(&all.Items[i])
		if p.key.Name == "" && resources.Replicas(&all.Items[i]) >= 3 {
			p.key = key
		}
		rha, err := p.bed.WaitSettled(ctx, key, func(lacking string) { p.say(key.Name + ": " + lacking) })
		if err != nil {
			return err
		}
		p.done(
			fmt.Sprintf(
				"kubectl apply: redisha/%s is %s ready, %s is its master", key.Name, rha.Status.Ready, rha.Status.Master.Pod,
			),
		)
	}
	if p.key.Name == "" {
		return errors.New("config/samples has no RedisHA of three or more replicas")
	}
	return nil
}

func (p *demo) startWriters(ctx context.Context) error {
	password, err := p.bed.Password(ctx, p.key)
	if err != nil {
		return err
	}
	service := resources.MasterServiceName(p.key.Name)
	finder, err := chaos.FindService(ctx, p.bed.Kube, p.key.Namespace, service)
	if err != nil {
		return err
	}
	watching, cancel := context.WithCancel(context.WithoutCancel(ctx))
	p.stopWatch = cancel
	p.promotions = watchPromotions(watching, p.bed.Client, p.key)
	p.writers = chaos.Start(chaos.Options{Finder: finder, Password: password, Dial: p.bed.Clients.DialContext})
	if _, err := p.writers.WaitAck(ctx, time.Now()); err != nil {
		return err
	}
	p.done(fmt.Sprintf("4 writers: a numbered write each every 3 ms to Service %s", service))
	return nil
}

// end leaves nothing behind.
func (p *demo) end() {
	if p.stopWatch != nil {
		p.stopWatch()
	}
	if p.writers != nil {
		p.writers.Stop()
	}
	if p.bed != nil {
		p.bed.Down()
	}
	if p.sandbox != nil {
		p.sandbox.Stop()
	}
}

func (p *demo) describe(ctx context.Context) ([]byte, error) {
	rha, err := p.bed.Get(ctx, p.key)
	if err != nil {
		return nil, err
	}
	return yaml.Marshal(rha)
}

// conclude draws the table. It waits a moment first: a promotion that was not asked for would come now.
func (p *demo) conclude(ctx context.Context) error {
	select {
	case <-time.After(2 * time.Second):
	case <-ctx.Done():
		return ctx.Err()
	}
	published, epoch := p.promotions.count()
	survived := true
	rows := make([][]cell, len(p.results))
	for i, r := range p.results {
		next := result{published: published, epoch: epoch}
		if i+1 < len(p.results) {
			next = p.results[i+1]
		}
		wrong := falsePromotions(r, next)
		rows[i] = r.cells(wrong)
		if wrong > 0 || r.fault.lossless && r.lost > 0 {
			survived = false
		}
	}
	head := []string{"fault", "write gap", "writes acknowledged", "writes lost", "false promotions", "all well after"}
	p.printf("\n%s\n", p.table(head, rows))
	if !survived {
		return errNotSurvived
	}
	p.printf("  %s every fault was survived; %s writes acknowledged in all, %s lost\n", p.paint(good, "✓"),
		grouped(p.writers.Acked()), grouped(p.lost))
	return nil
}

// falsePromotions counts the promotions from one fault to the next beyond the one that the fault calls for, published
// or only begun.
func falsePromotions(r, next result) int64 {
	return max(int64(next.published-r.published)-1, next.epoch-r.epoch-1, 0)
}

func (r result) cells(wrong int64) []cell {
	lost, promotions := cell{grouped(r.lost), plain}, cell{grouped(wrong), plain}
	if r.fault.lossless && r.lost > 0 {
		lost.tone = bad
	}
	if wrong > 0 {
		promotions.tone = bad
	}
	return []cell{
		{
			r.fault.name,
			plain,
		},
		{about(r.gap.Length()), good},
		{grouped(r.acked), plain},
		lost,
		promotions,
		{about(r.recovered), plain},
	}
}
