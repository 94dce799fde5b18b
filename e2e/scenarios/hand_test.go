// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/failover"
)

// promoteAndWrite is what a person with redis-cli does who knows no better. It goes out in one piece, before anybody
// can step in.
func (s *scene) promoteAndWrite(pod, key string) {
	s.t.Helper()
	s.fault()
	_, err := s.redis(pod).Pipelined(s.ctx, func(p redis.Pipeliner) error {
		p.Do(s.ctx, "REPLICAOF", "NO", "ONE")
		p.Set(s.ctx, key, 1, 0)
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func TestTwoMastersWithDataOfTheirOwnAreBothLeftAlone(t *testing.T) {
	s := begin(t, "two masters made by hand, both written to", v1alpha1.RedisHASpec{})
	divergent := s.replicas()[1]
	s.promoteAndWrite(divergent, "mine")
	s.refusal(string(failover.ReasonDivergentMaster))
	s.announced("Refused")
	time.Sleep(3 * time.Second)
	s.unmoved()
	if role, mine := s.info(divergent, "role"), s.do(divergent, "GET", "mine"); role != "master" || mine != "1" {
		t.Errorf("%s is a %s and holds %v: the data of another was touched", divergent, role, mine)
	}
	err := s.redis(divergent).Set(s.ctx, "mine", 2, 0).Err()
	if err == nil || !strings.HasPrefix(err.Error(), "NOREPLICAS") {
		t.Errorf("%s takes writes beside the master: %v", divergent, err)
	}
	s.ask(
		v1alpha1.RedisHARequestSpec{Action: v1alpha1.ActionDiscard, Pod: divergent, AcceptDataLoss: true},
		v1alpha1.RequestSucceeded,
	)
	s.end(0)
	s.unmoved()
	if mine := s.do(s.master(), "EXISTS", "mine"); mine != int64(0) {
		t.Errorf("the master has the data of the divergent one")
	}
}

func TestAReplicaPromotedByHandWithoutDataOfItsOwnIsTakenBack(t *testing.T) {
	s := begin(t, "replica promoted by hand, not written to", v1alpha1.RedisHASpec{})
	s.fault()
	s.do(s.replicas()[0], "REPLICAOF", "NO", "ONE")
	s.row.reason = "none"
	s.end(0)
	s.unmoved()
}

func TestARingMadeByHandIsBroken(t *testing.T) {
	s := begin(t, "a ring of replicas made by hand", v1alpha1.RedisHASpec{})
	a, b := s.replicas()[0], s.replicas()[1] // b follows the master already
	s.fault()
	s.follow(a, b)
	s.follow(s.master(), a)
	s.promotion(v1alpha1.HistoryFailover, string(failover.DiagnosisMasterDemoted))
	s.end(unreplicated)
	s.epochs(1)
}

// follow points a Redis at another by hand.
func (s *scene) follow(pod, master string) {
	s.t.Helper()
	s.do(pod, "REPLICAOF", s.addr(master).String(), resources.RedisPort)
}

func TestAReplicaOfAnotherRedisHAComesBackAndBringsNothing(t *testing.T) {
	// The same password on both sides, or the other side would not even let it in.
	secret := func() *corev1.Secret {
		return &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: "mine"},
			StringData: map[string]string{"password": "shared"},
		}
	}
	spec := v1alpha1.RedisHASpec{Auth: &v1alpha1.AuthSpec{PasswordSecretRef: v1alpha1.SecretKeyReference{Name: "mine"}}}
	other := create(t, "the other RedisHA", spec, secret())
	s := begin(t, "replica pointed at another RedisHA, master killed", spec, secret())
	other.settle()
	other.password = s.password
	other.do(other.master(), "SET", "foreign", "1")
	lost := s.replicas()[0]
	s.fault()
	s.do(lost, "REPLICAOF", other.addr(other.master()).String(), resources.RedisPort)
	s.signal(s.master(), syscall.SIGKILL)
	s.promotion(v1alpha1.HistoryFailover, deadProcess...)
	s.end(unreplicated)
	s.epochs(1)
	if foreign := s.do(s.get().Status.Master.Pod, "EXISTS", "foreign"); foreign != int64(0) {
		t.Error("the other's data has come along")
	}
	other.unmoved()
}

func TestAChangedPasswordIsNotTakenForADeath(t *testing.T) {
	s := begin(t, "master's password changed by hand", v1alpha1.RedisHASpec{})
	admin := s.redis(s.master())
	if err := admin.ConfigSet(s.ctx, "requirepass", "something else").Err(); err != nil {
		t.Fatal(err)
	}
	s.fault()
	// Who is connected stays so; to be noticed, the connections have to end.
	if err := admin.Do(s.ctx, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").Err(); err != nil {
		t.Fatal(err)
	}
	s.refusal(string(failover.ReasonMasterAccessDenied))
	s.condition(v1alpha1.ConditionAvailable, metav1.ConditionUnknown, v1alpha1.ReasonMasterUnreachable)
	time.Sleep(4 * time.Second) // longer than down-after
	s.unmoved()
	if err := admin.ConfigSet(s.ctx, "requirepass", s.password).Err(); err != nil {
		t.Fatal(err)
	}
	s.end(0)
	s.unmoved()
}

// lameAll makes every replica one that may not be promoted.
func (s *scene) lameAll() {
	s.t.Helper()
	for _, replica := range s.replicas() {
		s.do(replica, "CONFIG", "SET", "replica-priority", 0)
	}
	s.condition(v1alpha1.ConditionFailoverPossible, metav1.ConditionFalse, v1alpha1.ReasonNoCandidate)
}

func TestWithoutACandidateNoReplicaIsPromotedUntilAPersonInsists(t *testing.T) {
	s := begin(t, "all candidates bad, then forced", v1alpha1.RedisHASpec{})
	s.lameAll()
	s.signal(s.master(), syscall.SIGKILL) // it is back at once, empty: the worst of all candidates
	s.refusal(string(failover.ReasonNoCandidate))
	s.announced("Blocked")
	s.condition(v1alpha1.ConditionAvailable, metav1.ConditionFalse, v1alpha1.ReasonNoMaster)
	s.force(s.replicas()[1])
	s.announced("Unblocked")
	s.end(unreplicated)
}

func TestARefusalOutlivesItsOperator(t *testing.T) {
	s := begin(t, "all candidates bad, operator dies in Blocked", v1alpha1.RedisHASpec{})
	s.lameAll()
	operator := ops.crashAt(s.ctx, t, v1alpha1.StateBlocked)
	s.signal(s.master(), syscall.SIGKILL)
	s.ended(operator)
	s.refusal(string(failover.ReasonNoCandidate))
	ops.leading(s.ctx, t)
	s.force(s.replicas()[0])
	s.end(unreplicated)
}

// force makes a pod master against a refusal.
func (s *scene) force(pod string) {
	s.t.Helper()
	refused := s.row.reason
	s.ask(
		v1alpha1.RedisHARequestSpec{Action: v1alpha1.ActionForceFailover, Pod: pod, AcceptDataLoss: true},
		v1alpha1.RequestSucceeded,
	)
	if entry := s.promotion(v1alpha1.HistoryFailover, string(failover.CauseForced)); entry.To != pod {
		s.t.Errorf("%s was promoted, want %s", entry.To, pod)
	}
	s.row.reason = refused + ", then " + s.row.reason
}
