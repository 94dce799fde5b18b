// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/e2e/chaos"
	"github.com/redisha/redisha/e2e/sandbox"
	"github.com/redisha/redisha/e2e/testbed"
)

var benchKey = client.ObjectKey{Namespace: "default", Name: "bench"}

// redisHA is a RedisHA with nothing but defaults.
type redisHA struct {
	bed *testbed.Testbed
	rha *v1alpha1.RedisHA // when all was well
}

func (b *bench) measureRedisHA(ctx context.Context) error {
	g, err := testbed.Up(ctx, b.sandbox, testbed.Options{LogDir: b.logs, Progress: b.progress, ManagerArgs: b.managerArgs})
	if err != nil {
		return err
	}
	defer g.Down()
	rha := &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{Namespace: benchKey.Namespace, Name: benchKey.Name}}
	if err := g.Client.Create(ctx, rha); err != nil {
		return err
	}
	s := &redisHA{bed: g}
	if _, err := s.settle(ctx); err != nil {
		return err
	}
	if err := b.measureClients(ctx, s); err != nil {
		return err
	}
	// Its pods must not take processor time from what is measured next.
	if err := g.Client.Delete(ctx, rha, client.PropagationPolicy(metav1.DeletePropagationForeground)); err != nil {
		return err
	}
	return sandbox.WaitFor(ctx, "the RedisHA to be gone", func(ctx context.Context) (bool, error) {
		return client.IgnoreNotFound(g.Client.Get(ctx, benchKey, rha)) == nil && g.Client.Get(ctx, benchKey, rha) != nil, nil
	})
}

func (b *bench) measureClients(ctx context.Context, s *redisHA) error {
	password, err := s.bed.Password(ctx, benchKey)
	if err != nil {
		return err
	}
	service := resources.MasterServiceName(benchKey.Name)
	endpoints, err := chaos.WatchEndpoints(ctx, s.bed.Kube, benchKey.Namespace, service)
	if err != nil {
		return err
	}
	defer endpoints.Close()
	if err := b.countingPromotions(
		ctx, "RedisHA, client watches the EndpointSlice", s, chaos.Options{Finder: endpoints, Password: password}, b.kills,
	); err != nil {
		return err
	}
	if !b.services {
		return nil
	}
	clusterIP, err := chaos.FindService(ctx, s.bed.Kube, benchKey.Namespace, service)
	if err != nil {
		return err
	}
	return b.countingPromotions(
		ctx, "RedisHA, client uses the Service", s, chaos.Options{Finder: clusterIP, Password: password}, b.kills,
	)
}

func (s *redisHA) promotions() int64 { return s.rha.Status.Failover.Epoch }

func (s *redisHA) story(at time.Time) string {
	if len(s.rha.Status.History) == 0 {
		return ""
	}
	var b strings.Builder
	for _, step := range s.rha.Status.History[0].Steps {
		fmt.Fprintf(&b, ", %s +%d ms", step.Name, step.At.Sub(at).Milliseconds())
	}
	return b.String() + " (" + s.rha.Status.History[0].Cause + ")"
}

func (s *redisHA) settle(ctx context.Context) (string, error) {
	rha, err := s.bed.WaitSettled(ctx, benchKey, nil)
	if err != nil {
		return "", err
	}
	s.rha = rha
	return net.JoinHostPort(rha.Status.Master.IP, strconv.Itoa(int(resources.RedisPort))), nil
}

func (s *redisHA) kill(context.Context) error {
	return s.bed.Sandbox.Signal(benchKey.Namespace, s.rha.Status.Master.Pod, resources.RedisContainer, syscall.SIGKILL)
}

// recovered waits for the new master; the killed process is started anew as in any cluster.
func (s *redisHA) recovered(ctx context.Context) error {
	epoch := s.rha.Status.Master.Epoch
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var last string
	err := sandbox.WaitFor(ctx, "another master", func(ctx context.Context) (bool, error) {
		rha, err := s.bed.Get(ctx, benchKey)
		if err != nil {
			return false, err
		}
		last = rha.Status.Failover.Message
		return rha.Status.Master.Epoch > epoch, nil
	})
	if err != nil {
		return fmt.Errorf("%w (%s)", err, last)
	}
	return nil
}
