// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/redisclient"
)

func TestAReplicaIsToldHowToConnectBeforeItIsToldToWhom(t *testing.T) {
	for name, of := range map[string]struct {
		master Master
		want   []string
	}{
		"in clear, as a Redis without TLS can only": {
			Master{Port: 6379}, []string{"cache-1 REPLICAOF 10.0.0.u0 6379"},
		},
		"encrypted": {
			Master{Port: 6380, CanEncrypt: true, Encrypted: true},
			[]string{"cache-1 REPLICATION-TLS true", "cache-1 REPLICAOF 10.0.0.u0 6380"},
		},
		"in clear again": {
			Master{Port: 6379, CanEncrypt: true},
			[]string{"cache-1 REPLICATION-TLS false", "cache-1 REPLICAOF 10.0.0.u0 6379"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			follow := failover.Follow{Node: w.ref("u1"), Master: w.ref("u0")}
			result := New(w, cluster{w}, w, Options{}).Execute(t.Context(), key, of.master, []failover.Action{follow})[0]
			if diff := cmp.Diff(of.want, w.list()); result.Err != nil || diff != "" {
				t.Errorf("%v, %s", result.Err, diff)
			}
		})
	}
}

func TestAProcessIsEncryptedAndGivenUsersUnderTheLease(t *testing.T) {
	w := newWorld()
	e := New(w, cluster{w}, w, Options{})
	want := redisclient.Encryption{TLSPort: 6380}
	if err := e.Encrypt(t.Context(), key, w.ref("u1"), want); err != nil || len(w.stale) == 0 {
		t.Errorf("%v; stale %v", err, w.stale)
	}
	two := []redisclient.User{{Name: "default"}, {Name: "one"}}
	if is, err := e.SetUsers(t.Context(), key, w.ref("u1"), redisclient.Users{All: two}); err != nil || is != "these" {
		t.Error(is, err)
	}
	if is, err := e.Users(t.Context(), key, w.ref("u1")); err != nil || is != "these" {
		t.Error(is, err)
	}
	if refused, err := e.TryUsers(t.Context(), key, w.ref("u1"), two); err != nil || len(refused) != 1 {
		t.Error(refused, err)
	}
	w.left = func() time.Duration { return time.Millisecond }
	if err := e.Encrypt(t.Context(), key, w.ref("u1"), want); !errors.Is(err, ErrLeaseTooShort) {
		t.Errorf("without a lease: %v", err)
	}
	if _, err := e.SetUsers(t.Context(), key, w.ref("u1"), redisclient.Users{}); !errors.Is(err, ErrLeaseTooShort) {
		t.Errorf("without a lease: %v", err)
	}
	said := []string{"cache-1 ENCRYPT 6380", "cache-1 USERS 2", "cache-1 USERS?", "cache-1 TRY-USERS 2"}
	if diff := cmp.Diff(said, w.list()); diff != "" {
		t.Error(diff)
	}
}
