// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"k8s.io/utils/ptr"

	"github.com/redisha/redisha/api/v1alpha1"
)

// The columns: the RedisHA has spec.tls, or it has not.
const (
	off = "off"
	on  = "on"
)

// operation is something that people do to a RedisHA on purpose.
type operation struct {
	name string
	// tls says in which columns it is played.
	tls []string
	// spec changes the RedisHA that it is played on; nil for one of defaults.
	spec func(s *set, spec *v1alpha1.RedisHASpec)
	// prepare makes what the RedisHA needs, before there is one; may be nil.
	prepare func(ctx context.Context, s *set) error
	// before has the RedisHA as the operation needs it, before a round begins; may be nil.
	before func(ctx context.Context, r *round) error
	// outage: no Redis is to run for a while. What counts is for how long there is none from when one is to run again.
	outage bool
	// play lets it happen and returns when it is over.
	play func(ctx context.Context, r *round) error
}

func operations() []operation {
	both := []string{off, on}
	return []operation{
		{name: "delete", tls: both, play: deleteMaster},
		{name: "evict", tls: both, play: evictMaster},
		{name: "drain", tls: both, play: drainMaster},
		{name: "switchover", tls: both, play: switchOver},
		{name: "restart", tls: both, play: restart},
		{name: "rollout", tls: both, play: rollOut},
		{name: "scale", tls: both, before: leadByLast, play: scale},
		{name: "hibernate", tls: both, outage: true, spec: onDisk, before: leadByLast, play: hibernate},
		{name: "settings", tls: both, play: changeSettings},
		{name: "resize", tls: both, spec: limited, play: resize},
		{name: "password", tls: both, spec: ownPassword, prepare: putPassword, play: changePassword},
		{name: "renewal", tls: []string{on}, spec: ownCertificate, prepare: putCertificate, play: renewCertificate},
		{name: "authority", tls: []string{on}, spec: ownCertificate, prepare: putCertificate, play: replaceAuthority},
		{name: "tls", tls: []string{off}, play: turnEncryptionOnAndOff},
	}
}

// leftOut are operations that the sandbox cannot play, with the reason.
func leftOut() map[string]string {
	return map[string]string{
		"version": "the sandbox has one version of Redis, the machine's redis-server, whatever image is named",
	}
}

// played is an operation in one column.
type played struct {
	operation
	column string
}

// choose returns the operations with these names, all without any, in each of the columns that they are played in.
func choose(names, columns []string) ([]played, error) {
	for _, column := range columns {
		if column != off && column != on {
			return nil, fmt.Errorf("TLS is %s or %s, and not %q", off, on, column)
		}
	}
	named, err := byName(names)
	if err != nil {
		return nil, err
	}
	var chosen []played
	for _, o := range named {
		for _, column := range o.tls {
			if slices.Contains(columns, column) {
				chosen = append(chosen, played{o, column})
			}
		}
	}
	if len(chosen) == 0 {
		return nil, fmt.Errorf("%s: not played with TLS %s", strings.Join(names, ", "), strings.Join(columns, ", "))
	}
	return chosen, nil
}

// byName returns the operations with these names, all without any.
func byName(names []string) ([]operation, error) {
	all := operations()
	if len(names) == 0 {
		return all, nil
	}
	var found []operation
	for _, name := range names {
		i := slices.IndexFunc(all, func(o operation) bool { return o.name == name })
		if reason, out := leftOut()[name]; i < 0 && out {
			return nil, fmt.Errorf("%s is left out: %s", name, reason)
		}
		if i < 0 {
			return nil, fmt.Errorf("no operation is called %q", name)
		}
		found = append(found, all[i])
	}
	return found, nil
}

// specOf is the spec of the RedisHA that the operation is played on.
func specOf(s *set) v1alpha1.RedisHASpec {
	spec := v1alpha1.RedisHASpec{Replicas: ptr.To[int32](v1alpha1.DefaultReplicas)}
	if s.played.column == on {
		spec.TLS = &v1alpha1.TLSSpec{}
	}
	if s.played.spec != nil {
		s.played.spec(s, &spec)
	}
	return spec
}
