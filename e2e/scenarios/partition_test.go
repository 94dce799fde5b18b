// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/e2e/checks"
	"github.com/redisha/redisha/failover"
)

func (s *scene) addr(pod string) netip.Addr {
	s.t.Helper()
	addr, err := bed.Sandbox.PodAddr(s.Key.Namespace, pod)
	if err != nil {
		s.t.Fatal(err)
	}
	return addr
}

// part drops what passes between the address and each of the others, in both directions.
func (s *scene) part(addr netip.Addr, others ...netip.Addr) {
	s.t.Helper()
	s.fault()
	for _, other := range others {
		if err := bed.Sandbox.Partition(addr, other); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *scene) heal() {
	s.t.Helper()
	if err := bed.Sandbox.HealAll(); err != nil {
		s.t.Fatal(err)
	}
}

func operatorAddrs() []netip.Addr {
	var addrs []netip.Addr
	for _, o := range ops.all() {
		addrs = append(addrs, o.Host.Addr())
	}
	return addrs
}

func TestAnOperatorThatAloneDoesNotReachTheMasterDoesNothing(t *testing.T) {
	s := begin(t, "operator cut off from the master only", v1alpha1.RedisHASpec{})
	if gap := s.OperatorsAreParted(); gap > time.Second {
		t.Errorf("no write for %s, and nothing was wrong with the master", gap)
	}
}

func TestAMasterThatIsCutOffTogetherWithAReplicaIsLeftAlone(t *testing.T) {
	// The clients are on the master's side, and do not notice.
	s := begin(t, "master and a replica cut off together", v1alpha1.RedisHASpec{})
	ops.leading(s.Ctx, t)
	master, replicas := s.Master(), s.Replicas()
	s.part(s.addr(master), append(operatorAddrs(), s.addr(replicas[1]))...)
	s.part(s.addr(replicas[0]), append(operatorAddrs(), s.addr(replicas[1]))...)
	s.Refusal(string(failover.ReasonMasterUnreachableWithReplicas))
	s.Condition(v1alpha1.ConditionAvailable, metav1.ConditionUnknown, v1alpha1.ReasonMasterUnreachable)
	time.Sleep(5 * time.Second)
	s.Unmoved()
	s.heal()
	s.end(0)
	s.Unmoved()
	if s.row.gap > time.Second {
		t.Errorf("no write for %s, and nothing was wrong with the master", s.row.gap)
	}
}

func TestAnOperatorThatReachesNoPodDoesNothing(t *testing.T) {
	s := begin(t, "operator cut off from every Redis", v1alpha1.RedisHASpec{})
	ops.leading(s.Ctx, t)
	for _, pod := range append(s.Replicas(), s.Master()) {
		s.part(s.addr(pod), operatorAddrs()...)
	}
	s.Refusal(string(failover.ReasonMasterUnreachableNoWitness))
	s.Condition(v1alpha1.ConditionAvailable, metav1.ConditionFalse, v1alpha1.ReasonMasterUnreachable)
	time.Sleep(3 * time.Second)
	s.Unmoved()
	s.heal()
	s.end(0)
	s.Unmoved()
}

func TestAnIsolatedMasterStopsByItselfAndIsDemotedWhenItIsBack(t *testing.T) {
	// Long enough for the master to have stopped by itself before anybody takes over.
	s := begin(
		t, "master cut off from all but a few clients",
		v1alpha1.RedisHASpec{Failover: v1alpha1.FailoverSpec{DownAfterMilliseconds: 7000}},
	)
	ops.leading(s.Ctx, t)
	old, run := s.Master(), s.info(s.Master(), "run_id")
	s.keepPods() // as if its node were out of reach too: it is asked to go, and does not hear
	few := s.leftBehind(s.addr(old))
	time.Sleep(300 * time.Millisecond)
	s.part(s.addr(old), append(operatorAddrs(), s.addr(s.Replicas()[0]), s.addr(s.Replicas()[1]), bed.Clients.Addr())...)
	s.Eventually("another master", func(rha *v1alpha1.RedisHA) bool { return rha.Status.Master.Pod != old })
	last := few.last()
	if after := last.Sub(s.at); after > 5*time.Second {
		t.Errorf("the isolated master acknowledged writes for %s, min-replicas-max-lag is 3 s", after)
	}
	if s.acknowledged(time.Now()); few.last() != last {
		t.Error("two masters acknowledge writes")
	}
	s.heal()
	s.Eventually("the old master to follow", func(*v1alpha1.RedisHA) bool {
		return s.info(old, "role") == "slave" && s.info(old, "master_link_status") == "up"
	})
	if now := s.info(old, "run_id"); now != run {
		t.Errorf("the old master was restarted, and was to be demoted")
	}
	s.Promotion(v1alpha1.HistoryFailover, string(failover.DiagnosisMasterDown))
	few.stop()
	s.end(unreplicated)
	s.Epochs(s.Before, 1)
	acked, lost := few.verify(s)
	if lost == 0 || lost > acked {
		t.Errorf(
			"%d of %d acknowledged by the isolated master are lost; those from after the partition have to be", lost, acked,
		)
	}
	s.row.acked, s.row.lost = s.row.acked+acked, s.row.lost+lost
	s.Reason = fmt.Sprintf(
		"%s; the isolated master accepted writes for %s more", s.Reason, checks.Rounded(last.Sub(s.at)),
	)
}

// keepPods forbids to delete pods in the namespace for the rest of the scenario.
func (s *scene) keepPods() {
	s.t.Helper()
	name := "keep-" + s.Key.Namespace
	policy := &admissionv1.ValidatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.ValidatingAdmissionPolicySpec{
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{
				RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: []admissionv1.OperationType{admissionv1.Delete},
					Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
				},
			}}},
			Validations: []admissionv1.Validation{{Expression: "false", Message: "the node is out of reach"}},
		},
	}
	binding := &admissionv1.ValidatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: admissionv1.ValidatingAdmissionPolicyBindingSpec{
			PolicyName: name, ValidationActions: []admissionv1.ValidationAction{admissionv1.Deny},
			MatchResources: &admissionv1.MatchResources{NamespaceSelector: &metav1.LabelSelector{
				MatchLabels: map[string]string{"kubernetes.io/metadata.name": s.Key.Namespace},
			}},
		},
	}
	if err := bed.Client.Create(s.Ctx, policy); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		if err := bed.Client.Delete(ctx, binding); err != nil {
			s.t.Error(err)
		}
		if err := bed.Client.Delete(ctx, policy); err != nil {
			s.t.Error(err)
		}
	})
	if err := bed.Client.Create(s.Ctx, binding); err != nil {
		s.t.Fatal(err)
	}
	s.Eventually("pods to be kept", func(*v1alpha1.RedisHA) bool {
		return bed.Client.Delete(s.Ctx, s.Pod(s.Master()), dryRun) != nil
	})
}

// few is a client that stays with a master wherever that is, and writes keys of its own.
type few struct {
	cancel context.CancelFunc
	done   sync.WaitGroup
	mu     sync.Mutex
	acked  []int
	at     time.Time // of the last acknowledgement
}

// leftBehind begins to write to the address, from a place of its own in the network.
func (s *scene) leftBehind(addr netip.Addr) *few {
	s.t.Helper()
	host, err := bed.Sandbox.NewHost("left-behind")
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	f := &few{cancel: cancel}
	c := redis.NewClient(&redis.Options{
		Addr: net.JoinHostPort(
			addr.String(), strconv.Itoa(int(resources.RedisPort)),
		),
		Password:                 s.password,
		Dialer:                   host.DialContext,
		MaxRetries:               -1,
		DialerRetries:            1,
		PoolSize:                 1,
		DisableIdentity:          true,
		ReadTimeout:              250 * time.Millisecond,
		DialTimeout:              250 * time.Millisecond,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	f.done.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			f.note(n, c.Set(ctx, leftKey(n), n, 0).Err())
			time.Sleep(5 * time.Millisecond)
		}
	})
	s.t.Cleanup(func() {
		f.stop()
		_ = c.Close()
		_ = host.Close()
	})
	return f
}

func leftKey(n int) string { return "left:" + strconv.Itoa(n) }

func (f *few) note(n int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil {
		f.acked, f.at = append(f.acked, n), time.Now()
	}
}

// last is when the latest write was acknowledged.
func (f *few) last() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.at
}

func (f *few) stop() {
	f.cancel()
	f.done.Wait()
}

// verify looks up what was acknowledged, at the present master.
func (f *few) verify(s *scene) (acked, lost int64) {
	s.t.Helper()
	c := s.redis(s.Get().Status.Master.Pod)
	for _, n := range f.acked {
		count, err := c.Exists(s.Ctx, leftKey(n)).Result()
		if err != nil {
			s.t.Fatal(err)
		}
		acked, lost = acked+1, lost+1-count
	}
	return acked, lost
}
