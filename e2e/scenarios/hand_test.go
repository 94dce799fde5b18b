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
	"github.com/redisha/redisha/controllers/accounts"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/e2e/scenes"
	"github.com/redisha/redisha/failover"
)

// promoteAndWrite is what a person with redis-cli does who knows no better. It goes out in one piece, before anybody
// can step in.
func (s *scene) promoteAndWrite(pod, key string) {
	s.t.Helper()
	s.fault()
	_, err := s.redis(pod).Pipelined(s.Ctx, func(p redis.Pipeliner) error {
		p.Do(s.Ctx, "REPLICAOF", "NO", "ONE")
		p.Set(s.Ctx, key, 1, 0)
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

func TestTwoMastersWithDataOfTheirOwnAreBothLeftAlone(t *testing.T) {
	s := begin(t, "two masters made by hand, both written to", v1alpha1.RedisHASpec{Auth: granted()})
	divergent := s.Replicas()[1]
	s.promoteAndWrite(divergent, "mine")
	s.Refusal(string(failover.ReasonDivergentMaster))
	s.Announced("Refused")
	time.Sleep(3 * time.Second)
	s.Unmoved()
	if role, mine := s.info(divergent, "role"), s.do(divergent, "GET", "mine"); role != "master" || mine != "1" {
		t.Errorf("%s is a %s and holds %v: the data of another was touched", divergent, role, mine)
	}
	err := s.redis(divergent).Set(s.Ctx, "mine", 2, 0).Err()
	if err == nil || !strings.HasPrefix(err.Error(), "NOREPLICAS") {
		t.Errorf("%s takes writes beside the master: %v", divergent, err)
	}
	s.ask(
		v1alpha1.RedisHARequestSpec{Action: v1alpha1.ActionDiscard, Pod: divergent, AcceptDataLoss: true},
		v1alpha1.RequestSucceeded,
	)
	s.end(0)
	s.Unmoved()
	if mine := s.do(s.Master(), "EXISTS", "mine"); mine != int64(0) {
		t.Errorf("the master has the data of the divergent one")
	}
}

func TestAReplicaPromotedByHandWithoutDataOfItsOwnIsTakenBack(t *testing.T) {
	s := begin(t, "replica promoted by hand, not written to", v1alpha1.RedisHASpec{Auth: granted()})
	s.fault()
	s.do(s.Replicas()[0], "REPLICAOF", "NO", "ONE")
	s.Reason = "none"
	s.end(0)
	s.Unmoved()
}

func TestARingMadeByHandIsBroken(t *testing.T) {
	s := begin(t, "a ring of replicas made by hand", v1alpha1.RedisHASpec{Auth: granted()})
	a, b := s.Replicas()[0], s.Replicas()[1] // b follows the master already
	s.fault()
	s.follow(a, b)
	s.follow(s.Master(), a)
	s.Promotion(v1alpha1.HistoryFailover, string(failover.DiagnosisMasterDemoted))
	s.end(unreplicated)
	s.Epochs(s.Before, 1)
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
	spec := v1alpha1.RedisHASpec{Auth: granted()}
	spec.Auth.PasswordSecretRef = v1alpha1.SecretKeyReference{Name: "mine"}
	other := create(t, "the other RedisHA", spec, secret())
	s := begin(t, "replica pointed at another RedisHA, master killed", spec, secret())
	other.Settle()
	other.password = s.password
	other.do(other.Master(), "SET", "foreign", "1")
	lost := s.Replicas()[0]
	s.fault()
	s.do(lost, "CONFIG", "SET", "masteruser", "", "masterauth", "shared") // its own is not let in there
	s.do(lost, "REPLICAOF", other.addr(other.Master()).String(), resources.RedisPort)
	s.Signal(s.Master(), syscall.SIGKILL)
	s.Promotion(v1alpha1.HistoryFailover, scenes.DeadProcess...)
	s.end(unreplicated)
	s.Epochs(s.Before, 1)
	if foreign := s.do(s.Get().Status.Master.Pod, "EXISTS", "foreign"); foreign != int64(0) {
		t.Error("the other's data has come along")
	}
	other.Unmoved()
}

// Who is locked out does not know of a death. The operator shows its own user, and then the default one.
func TestAChangedPasswordIsNotTakenForADeath(t *testing.T) {
	s := begin(t, "operator locked out of the master by hand", v1alpha1.RedisHASpec{Auth: granted()})
	admin := s.redis(s.Master())
	if err := admin.Do(s.Ctx, "ACL", "SETUSER", accounts.Operator, "off").Err(); err != nil {
		t.Fatal(err)
	}
	if err := admin.ConfigSet(s.Ctx, "requirepass", "something else").Err(); err != nil {
		t.Fatal(err)
	}
	s.fault()
	// Who is connected stays so; to be noticed, the connections have to end.
	if err := admin.Do(s.Ctx, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes").Err(); err != nil {
		t.Fatal(err)
	}
	s.Refusal(string(failover.ReasonMasterAccessDenied))
	s.Condition(v1alpha1.ConditionAvailable, metav1.ConditionUnknown, v1alpha1.ReasonMasterUnreachable)
	time.Sleep(4 * time.Second) // longer than down-after
	s.Unmoved()
	if err := admin.ConfigSet(s.Ctx, "requirepass", s.password).Err(); err != nil {
		t.Fatal(err)
	}
	s.end(0)
	s.Unmoved()
}

// lameAll makes every replica one that may not be promoted.
func (s *scene) lameAll() {
	s.t.Helper()
	for _, replica := range s.Replicas() {
		s.do(replica, "CONFIG", "SET", "replica-priority", 0)
	}
	s.Condition(v1alpha1.ConditionFailoverPossible, metav1.ConditionFalse, v1alpha1.ReasonNoCandidate)
}

func TestWithoutACandidateNoReplicaIsPromotedUntilAPersonInsists(t *testing.T) {
	s := begin(t, "all candidates bad, then forced", v1alpha1.RedisHASpec{Auth: granted()})
	s.lameAll()
	s.Signal(s.Master(), syscall.SIGKILL) // it is back at once, empty: the worst of all candidates
	s.Refusal(string(failover.ReasonNoCandidate))
	s.Announced("Blocked")
	s.Condition(v1alpha1.ConditionAvailable, metav1.ConditionFalse, v1alpha1.ReasonNoMaster)
	s.force(s.Replicas()[1])
	s.Announced("Unblocked")
	s.end(unreplicated)
}

func TestARefusalOutlivesItsOperator(t *testing.T) {
	s := begin(t, "all candidates bad, operator dies in Blocked", v1alpha1.RedisHASpec{Auth: granted()})
	s.lameAll()
	operator := ops.crashAt(s.Ctx, t, v1alpha1.StateBlocked)
	s.Signal(s.Master(), syscall.SIGKILL)
	s.ended(operator)
	s.Refusal(string(failover.ReasonNoCandidate))
	ops.leading(s.Ctx, t)
	s.force(s.Replicas()[0])
	s.end(unreplicated)
}

// force makes a pod master against a refusal.
func (s *scene) force(pod string) {
	s.t.Helper()
	refused := s.Reason
	s.ask(
		v1alpha1.RedisHARequestSpec{Action: v1alpha1.ActionForceFailover, Pod: pod, AcceptDataLoss: true},
		v1alpha1.RequestSucceeded,
	)
	if entry := s.Promotion(v1alpha1.HistoryFailover, string(failover.CauseForced)); entry.To != pod {
		s.t.Errorf("%s was promoted, want %s", entry.To, pod)
	}
	s.Reason = refused + ", then " + s.Reason
}
