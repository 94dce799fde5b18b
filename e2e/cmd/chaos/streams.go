// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/redisha/redisha/e2e/chaos"
)

// stream is one way of writing: who tells where the master is, and what counts as acknowledged.
type stream struct {
	name    string
	writers *chaos.Writers
	done    func() // ends what finds its master
}

type streams []stream

// open begins to write. A Service that does not exist yet is waited for, so that the client may be applied together
// with the RedisHA.
func open(ctx context.Context, kube kubernetes.Interface, o options, password string) (streams, error) {
	var all streams
	for name := range strings.SplitSeq(o.streams, ",") {
		s, err := openOne(ctx, kube, o, password, strings.TrimSpace(name))
		if err != nil {
			all.close()
			return nil, err
		}
		all = append(all, s)
	}
	return all, nil
}

func openOne(ctx context.Context, kube kubernetes.Interface, o options, password, name string) (stream, error) {
	path, kind, _ := strings.Cut(name, "/")
	wait, known := map[string]int{"plain": 0, "wait": 1}[kind]
	if !known {
		return stream{}, fmt.Errorf("stream %q: say service, pods or sentinel, a slash, and plain or wait", name)
	}
	finder, done, err := find(ctx, kube, o, path)
	if err != nil {
		return stream{}, fmt.Errorf("stream %q: %w", name, err)
	}
	return stream{name: name, done: done, writers: chaos.Start(chaos.Options{
		Finder: finder, Password: password, Writers: o.writers, Interval: o.interval, Timeout: o.timeout, Wait: wait,
		Prefix: o.client + "/" + name + ":",
	})}, nil
}

func find(ctx context.Context, kube kubernetes.Interface, o options, path string) (chaos.Finder, func(), error) {
	switch path {
	case "service":
		for {
			finder, err := chaos.FindService(ctx, kube, o.namespace, o.service)
			if err == nil {
				return finder, func() {}, nil
			}
			if !pause(ctx, time.Second) {
				return nil, nil, err
			}
		}
	case "pods":
		finder, err := chaos.WatchEndpoints(ctx, kube, o.namespace, o.service)
		if err != nil {
			return nil, nil, err
		}
		return finder, finder.Close, nil
	case "sentinel":
		if o.sentinels == "" {
			return nil, nil, errors.New("give --sentinels")
		}
		finder := chaos.NewSentinel(o.master, strings.Split(o.sentinels, ","), nil)
		return finder, func() { _ = finder.Close() }, nil
	default:
		return nil, nil, errors.New("the master is found by service, pods or sentinel")
	}
}

func (s streams) close() {
	for _, one := range s {
		one.writers.Stop()
		one.done()
	}
}

// ready reports whether every stream has had a write acknowledged.
func (s streams) ready() bool {
	for _, one := range s {
		if one.writers.Acked() == 0 {
			return false
		}
	}
	return true
}

// progress tells how far every stream is.
func (s streams) progress() chaos.Progress {
	progress := chaos.Progress{Now: time.Now()}
	for _, one := range s {
		last, _ := one.writers.LastAck()
		progress.Streams = append(progress.Streams, chaos.StreamProgress{
			Name: one.name, Acked: one.writers.Acked(), LastAck: last, Errors: one.writers.Errors(),
		})
	}
	return progress
}

// finish stops all streams, so that their ends are one, and then looks up what each of them had acknowledged.
func (s streams) finish(ctx context.Context) chaos.Result {
	for _, one := range s {
		one.writers.Stop()
	}
	var result chaos.Result
	for _, one := range s {
		loss, err := verify(ctx, one.writers)
		result.Streams = append(result.Streams, one.writers.Report(one.name, loss, err))
	}
	return result
}

// verify tries until the master answers for all writes: one that has just been published may not be reached at once.
func verify(ctx context.Context, w *chaos.Writers) (chaos.Loss, error) {
	for {
		loss, err := w.Verify(ctx)
		if err == nil || !pause(ctx, 500*time.Millisecond) {
			return loss, err
		}
	}
}

// pause returns false when the context ended first.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
