// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/e2e/sandbox"
	"github.com/redisha/redisha/e2e/testbed"
)

// settles is how long a RedisHA may take until it is well again.
const settles = 4 * time.Minute

// set is a RedisHA that all rounds of an operation are played on.
type set struct {
	*suite
	played played
	key    client.ObjectKey
	// certificate is the content of the Secret that spec.tls names; nil when it names none.
	certificate map[string][]byte
}

func (s *set) create(ctx context.Context) error {
	if s.played.prepare != nil {
		if err := s.played.prepare(ctx, s); err != nil {
			return err
		}
	}
	rha := &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{Namespace: s.key.Namespace, Name: s.key.Name}}
	rha.Spec = specOf(s)
	if err := s.bed.Client.Create(ctx, rha); err != nil {
		return err
	}
	_, err := s.well(ctx)
	return err
}

// remove deletes the RedisHA and returns when its pods are gone, so that the next one has the machine for itself.
func (s *set) remove(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	rha := &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{Namespace: s.key.Namespace, Name: s.key.Name}}
	err := client.IgnoreNotFound(s.bed.Client.Delete(ctx, rha))
	if err == nil {
		err = sandbox.WaitFor(ctx, "the pods of "+s.key.Name+" to be gone", func(ctx context.Context) (bool, error) {
			pods, err := s.bed.Pods(ctx, s.key)
			return len(pods) == 0, err
		})
	}
	if err != nil {
		s.tell("%s was not removed: %v", s.key.Name, err)
	}
}

// change changes the spec.
func (s *set) change(ctx context.Context, edit func(*v1alpha1.RedisHASpec)) error {
	rha, err := s.bed.Get(ctx, s.key)
	if err != nil {
		return err
	}
	before := rha.DeepCopy()
	edit(&rha.Spec)
	return s.bed.Client.Patch(ctx, rha, client.MergeFrom(before))
}

// well waits until all is well, every pod is what the spec wants, and the pods are spread, as they are where a round
// begins: a pod that a drain has sent to another worker is moved back later.
func (s *set) well(ctx context.Context) (*v1alpha1.RedisHA, error) {
	ctx, cancel := context.WithTimeout(ctx, settles)
	defer cancel()
	for {
		rha, err := s.bed.WaitUpToDate(ctx, s.key)
		if err != nil || meta.IsStatusConditionTrue(rha.Status.Conditions, v1alpha1.ConditionSurvivesMachineLoss) {
			return rha, err
		}
		if err := sandbox.Sleep(ctx, 100*time.Millisecond); err != nil {
			c := meta.FindStatusCondition(rha.Status.Conditions, v1alpha1.ConditionSurvivesMachineLoss)
			return rha, fmt.Errorf("waiting for the pods of %s to be spread (%+v): %w", s.key, c, err)
		}
	}
}

// access is how applications get at the master.
type access struct {
	password string
	port     int32
	dial     testbed.Dialer
}

// inClear is how they do without encryption, with the password in force.
func (s *set) inClear(ctx context.Context) (access, error) {
	password, err := s.bed.Password(ctx, s.key)
	return access{password: password, port: resources.RedisPort, dial: s.bed.Clients.DialContext}, err
}

// encrypted is how they do when they trust these authorities, with the password in force.
func (s *set) encrypted(ctx context.Context, authorities ...[]byte) (access, error) {
	a, err := s.inClear(ctx)
	a.port, a.dial = resources.RedisTLSPort, s.bed.Encrypted(s.key, testbed.Trusting(authorities...))
	return a, err
}

// usual is how they do when a round begins.
func (s *set) usual(ctx context.Context) (access, error) {
	if s.played.column == off {
		return s.inClear(ctx)
	}
	authority, err := s.authority(ctx)
	if err != nil {
		return access{}, err
	}
	return s.encrypted(ctx, authority)
}
