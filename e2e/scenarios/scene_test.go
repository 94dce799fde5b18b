package scenarios

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/e2e/chaos"
	"github.com/redisha/redisha/e2e/sandbox"
)

// patience bounds a scenario, and every single thing that is waited for in it.
const patience = 3 * time.Minute

// scene is a RedisHA under write load to which something is about to happen.
type scene struct {
	t        *testing.T
	ctx      context.Context
	key      client.ObjectKey
	password string
	writers  *chaos.Writers
	before   *v1alpha1.RedisHA // when all was well
	at       time.Time         // when the fault happened
	row      row
	wrong    func() []string // with what was published, at any instant
}

// begin creates a RedisHA in a namespace of its own, waits until all is well with it, and writes to it.
func begin(t *testing.T, title string, spec v1alpha1.RedisHASpec, seeds ...client.Object) *scene {
	t.Helper()
	s := create(t, title, spec, seeds...)
	s.settle()
	s.write()
	return s
}

// create makes the RedisHA, and before it the seeds in its namespace, and waits for nothing.
func create(t *testing.T, title string, spec v1alpha1.RedisHASpec, seeds ...client.Object) *scene {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	s := &scene{t: t, ctx: ctx, row: row{scenario: title}}
	rha := &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{Namespace: newNamespace(ctx, t), Name: "cache"}, Spec: spec}
	s.key = client.ObjectKeyFromObject(rha)
	for _, object := range append(seeds, rha) {
		object.SetNamespace(rha.Namespace)
		if err := play.Client.Create(ctx, object); err != nil {
			t.Fatal(err)
		}
	}
	s.wrong = s.watchInstants()
	t.Cleanup(func() {
		if s.writers != nil {
			s.writers.Stop()
		}
		if s.row.failed = t.Failed(); s.row.failed {
			s.keepTraces()
		}
		if s.row.acked > 0 {
			results.add(s.row)
		}
		if err := play.Sandbox.HealAll(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// newNamespace makes a namespace that goes when the test ends; nobody waits for that.
func newNamespace(ctx context.Context, t *testing.T) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "scene-"}}
	if err := play.Client.Create(ctx, ns); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := play.Client.Delete(ctx, ns); err != nil {
			t.Error(err)
		}
	})
	return ns.Name
}

// write begins to write through the master's Service, and returns when writes are acknowledged.
func (s *scene) write() {
	s.t.Helper()
	var err error
	if s.password, err = play.Password(s.ctx, s.key); err != nil {
		s.t.Fatal(err)
	}
	finder, err := chaos.FindService(s.ctx, play.Kube, s.key.Namespace, resources.MasterServiceName(s.key.Name))
	if err != nil {
		s.t.Fatal(err)
	}
	s.writers = chaos.Start(chaos.Options{Finder: finder, Password: s.password, Dial: play.Clients.DialContext})
	s.acknowledged(time.Now().Add(500 * time.Millisecond))
}

// acknowledged waits for a write that is acknowledged after the instant.
func (s *scene) acknowledged(after time.Time) time.Time {
	s.t.Helper()
	at, err := s.writers.WaitAck(s.ctx, after)
	if err != nil {
		s.t.Fatal(err)
	}
	return at
}

// settle waits until all is well, remembers that as how it was before, and returns it.
func (s *scene) settle() *v1alpha1.RedisHA {
	s.t.Helper()
	rha, err := play.WaitSettled(s.ctx, s.key, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.before = rha
	return rha
}

func (s *scene) get() *v1alpha1.RedisHA {
	s.t.Helper()
	rha, err := play.Get(s.ctx, s.key)
	if err != nil {
		s.t.Fatal(err)
	}
	return rha
}

// master is the pod that was master when all was well; replicas are the others.
func (s *scene) master() string { return s.before.Status.Master.Pod }

func (s *scene) replicas() []string {
	var pods []string
	for _, n := range s.before.Status.Nodes {
		if n.Pod != s.master() {
			pods = append(pods, n.Pod)
		}
	}
	slices.Sort(pods)
	return pods
}

// fault notes that it happens now. Only the first counts.
func (s *scene) fault() {
	if s.at.IsZero() {
		s.at = time.Now()
	}
}

func (s *scene) signal(pod string, signal syscall.Signal) {
	s.t.Helper()
	s.fault()
	if err := play.Sandbox.Signal(s.key.Namespace, pod, resources.RedisContainer, signal); err != nil {
		s.t.Fatal(err)
	}
}

// redis is a connection to one pod's Redis, from where the applications run.
func (s *scene) redis(pod string) *redis.Client {
	s.t.Helper()
	addr, err := play.Sandbox.PodAddr(s.key.Namespace, pod)
	if err != nil {
		s.t.Fatal(err)
	}
	c := redis.NewClient(&redis.Options{
		Addr: net.JoinHostPort(addr.String(), strconv.Itoa(int(resources.RedisPort))), Password: s.password, Dialer: play.Clients.DialContext,
		MaxRetries: -1, DialerRetries: 1, PoolSize: 1, DisableIdentity: true, ReadTimeout: 2 * time.Second, DialTimeout: time.Second,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// do sends a command to a pod's Redis, as a person with redis-cli would.
func (s *scene) do(pod string, command ...any) any {
	s.t.Helper()
	reply, err := s.redis(pod).Do(s.ctx, command...).Result()
	if err != nil && err != redis.Nil { //nolint:errorlint // go-redis returns it as it is
		s.t.Fatalf("%v at %s: %v", command, pod, err)
	}
	return reply
}

// info returns a field of INFO, empty when the pod does not answer or does not have it.
func (s *scene) info(pod, field string) string {
	s.t.Helper()
	text, err := s.redis(pod).Info(s.ctx).Result()
	if err != nil {
		return ""
	}
	for line := range strings.Lines(text) {
		if value, found := strings.CutPrefix(line, field+":"); found {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// promotion waits for a promotion after what was before, and checks what the history says of it. Causes are those that are
// right; which of them it is depends on whose word comes first.
func (s *scene) promotion(kind v1alpha1.HistoryKind, causes ...string) v1alpha1.HistoryEntry {
	s.t.Helper()
	var entry *v1alpha1.HistoryEntry
	since := s.before.Status.Failover.Epoch
	s.eventually(fmt.Sprintf("a %s after epoch %d", kind, since), func(rha *v1alpha1.RedisHA) bool {
		for i := range rha.Status.History {
			if h := &rha.Status.History[i]; h.Epoch > since && h.Outcome == v1alpha1.OutcomeSucceeded {
				entry = h
				return true
			}
		}
		return false
	})
	if entry.Kind != kind || !slices.Contains(causes, entry.Cause) {
		s.t.Errorf("%s because of %s, want %s because of %s: %s", entry.Kind, entry.Cause, kind, strings.Join(causes, " or "), entry.Message)
	}
	s.row.reason = entry.Cause
	return *entry
}

// unmoved checks that nobody was promoted, and not even tried to, since all was well.
func (s *scene) unmoved() {
	s.t.Helper()
	was, is := s.before.Status.Failover, s.get().Status.Failover
	if is.Epoch != was.Epoch {
		s.t.Errorf("epoch %d became %d (%s: %s), want nobody promoted", was.Epoch, is.Epoch, is.Cause, is.Verdict)
	}
}

// epochs checks how many promotions were begun since all was well.
func (s *scene) epochs(want int64) {
	s.t.Helper()
	was, is := s.before.Status.Failover.Epoch, s.get().Status.Failover.Epoch
	if is-was != want {
		s.t.Errorf("%d promotions were begun, want %d; history: %s", is-was, want, s.history())
	}
}

func (s *scene) history() string {
	var parts []string
	for _, h := range s.get().Status.History {
		parts = append(parts, fmt.Sprintf("%d %s %s from %s to %s %s (%s)", h.Epoch, h.Kind, h.Cause, h.From, h.To, h.Outcome, h.Message))
	}
	return strings.Join(parts, "; ")
}

// eventually waits for the object to be so.
func (s *scene) eventually(what string, holds func(*v1alpha1.RedisHA) bool) *v1alpha1.RedisHA {
	s.t.Helper()
	var rha *v1alpha1.RedisHA
	ctx, cancel := context.WithTimeout(s.ctx, time.Minute)
	defer cancel()
	err := sandbox.WaitFor(ctx, what, func(ctx context.Context) (bool, error) {
		var err error
		rha, err = play.Get(ctx, s.key)
		return err == nil && holds(rha), nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return rha
}

// refusal waits until the condition Blocked says so for the reason, and returns its message.
func (s *scene) refusal(reason string) string {
	s.t.Helper()
	message := ""
	s.eventually("the condition Blocked to say "+reason, func(rha *v1alpha1.RedisHA) bool {
		c := meta.FindStatusCondition(rha.Status.Conditions, v1alpha1.ConditionBlocked)
		if c == nil || c.Status != metav1.ConditionTrue || c.Reason != reason {
			return false
		}
		message = c.Message
		return true
	})
	s.row.reason = reason
	return message
}

// condition waits until a condition is so, for that reason.
func (s *scene) condition(kind string, status metav1.ConditionStatus, reason string) {
	s.t.Helper()
	s.eventually(fmt.Sprintf("the condition %s to be %s (%s)", kind, status, reason), func(rha *v1alpha1.RedisHA) bool {
		c := meta.FindStatusCondition(rha.Status.Conditions, kind)
		return c != nil && c.Status == status && c.Reason == reason
	})
}

// request makes a person's request, and waits until it was taken up.
func (s *scene) request(value string) {
	s.t.Helper()
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.AnnotationRequest, value)
	rha := &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{Namespace: s.key.Namespace, Name: s.key.Name}}
	if err := play.Client.Patch(s.ctx, rha, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
		s.t.Fatal(err)
	}
	s.eventually("the request "+value+" to be taken up", func(rha *v1alpha1.RedisHA) bool {
		return rha.Annotations[v1alpha1.AnnotationRequest] == ""
	})
}

// announced checks that an Event of the reason was recorded.
func (s *scene) announced(reason string) {
	s.t.Helper()
	err := sandbox.WaitFor(s.ctx, "an Event "+reason, func(ctx context.Context) (bool, error) {
		events := &corev1.EventList{}
		if err := play.Client.List(ctx, events, client.InNamespace(s.key.Namespace)); err != nil {
			return false, nil
		}
		return slices.ContainsFunc(events.Items, func(e corev1.Event) bool {
			return e.InvolvedObject.Name == s.key.Name && e.Reason == reason
		}), nil
	})
	if err != nil {
		s.t.Error(err)
	}
}

// end waits until all is well again, then looks up every acknowledged write. At most so many may be lost.
func (s *scene) end(mayLose int64) {
	s.t.Helper()
	rha, err := play.WaitSettled(s.ctx, s.key, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	now := time.Now()
	s.acknowledged(now)
	s.row.gap = s.writers.Gap(s.at, now).Length()
	s.writers.Stop()
	loss, err := s.writers.Verify(s.ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	s.row.acked, s.row.lost = loss.Acked, loss.Lost
	if loss.Lost > mayLose {
		s.t.Errorf("%d of %d acknowledged writes are lost, at most %d may be: %v", loss.Lost, loss.Acked, mayLose, loss.Examples)
	}
	s.oneMaster(rha)
	for _, wrong := range s.wrong() {
		s.t.Error(wrong)
	}
	for _, surprise := range crew.surprises() {
		s.t.Errorf("an operator ended: %s", surprise)
	}
	s.t.Log(s.row)
}

// oneMaster checks that one pod is labelled as master, the one that the status names.
func (s *scene) oneMaster(rha *v1alpha1.RedisHA) {
	s.t.Helper()
	pods := &corev1.PodList{}
	err := play.Client.List(s.ctx, pods, client.InNamespace(s.key.Namespace), client.MatchingLabels{v1alpha1.LabelRole: v1alpha1.RoleMaster})
	if err != nil {
		s.t.Fatal(err)
	}
	if len(pods.Items) != 1 || pods.Items[0].Name != rha.Status.Master.Pod {
		s.t.Errorf("%d pods are labelled as master, want %s alone", len(pods.Items), rha.Status.Master.Pod)
	}
}
