// SPDX-License-Identifier: Apache-2.0

package executor

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/link"
	"github.com/redisha/redisha/redisclient"
)

const key = "default/cache"

// journal lists what was done, by whom and in which order.
type journal struct {
	mu      sync.Mutex
	entries []string
}

func (j *journal) add(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.entries = append(j.entries, fmt.Sprintf(format, args...))
}

func (j *journal) list() []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.entries)
}

// fakeRedis obeys, and writes down what it was told.
type fakeRedis struct {
	name    string
	journal *journal
	fail    map[string]error // by command

	mu     sync.Mutex
	info   redisclient.Info
	onInfo func(*redisclient.Info) // before each Info
}

func (f *fakeRedis) Info(context.Context) (redisclient.Info, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.onInfo != nil {
		f.onInfo(&f.info)
	}
	return f.info, f.fail["INFO"]
}

func (f *fakeRedis) told(command string, detail ...any) error {
	f.journal.add("%s", fmt.Sprint(append([]any{f.name, " ", command}, detail...)...))
	return f.fail[command]
}

func (f *fakeRedis) ReplicaOf(_ context.Context, host string, port int) error {
	return f.told("REPLICAOF", " ", host, " ", port)
}
func (f *fakeRedis) Promote(context.Context) error { return f.told("PROMOTE") }
func (f *fakeRedis) PauseWrites(_ context.Context, d time.Duration) error {
	return f.told("PAUSE", " ", d)
}
func (f *fakeRedis) PauseAndInfo(ctx context.Context, d time.Duration) (redisclient.Info, error) {
	if err := f.told("PAUSE", " ", d); err != nil {
		return redisclient.Info{}, err
	}
	return f.Info(ctx)
}
func (f *fakeRedis) UnpauseWrites(context.Context) error { return f.told("UNPAUSE") }
func (f *fakeRedis) SetMinReplicas(_ context.Context, n int, _ time.Duration) error {
	return f.told("MIN-REPLICAS", " ", n)
}
func (f *fakeRedis) KillClients(context.Context) (int, error) { return 1, f.told("KILL") }
func (f *fakeRedis) KillWriters(context.Context) (int, error) { return 2, f.told("KILL-WRITERS") }
func (f *fakeRedis) KillOperatorConnections(_ context.Context, prefix string) (int, error) {
	return 1, f.told("KILL-OPERATORS", " ", prefix)
}

func (f *fakeRedis) Encrypt(_ context.Context, e redisclient.Encryption) (int, error) {
	return 0, f.told("ENCRYPT", " ", e.TLSPort)
}
func (f *fakeRedis) SetUsers(_ context.Context, u redisclient.Users) (string, error) {
	return "these", f.told("USERS", " ", len(u.All))
}
func (f *fakeRedis) Users(context.Context) (string, error) { return "these", f.told("USERS?") }
func (f *fakeRedis) TryUsers(_ context.Context, users []redisclient.User) ([]redisclient.RefusedUser, error) {
	return []redisclient.RefusedUser{{Name: "one"}}, f.told("TRY-USERS", " ", len(users))
}
func (f *fakeRedis) SetReplicationTLS(_ context.Context, is bool) error {
	return f.told("REPLICATION-TLS", " ", is)
}

func (f *fakeRedis) TryConfig(
	_ context.Context, settings []redisclient.Setting,
) (refused []redisclient.RefusedSetting, err error) {
	for _, s := range settings {
		if s.Value == "wrong" {
			refused = append(refused, redisclient.RefusedSetting{Setting: s, Why: "it is wrong"})
		}
	}
	return refused, f.told("TRY", " ", len(settings))
}

func (f *fakeRedis) SetSettings(
	_ context.Context, want []redisclient.Setting,
) (redisclient.ToldSettings, error) {
	return redisclient.ToldSettings{Fixed: []string{"databases"}}, f.told("SETTINGS", " ", len(want))
}
func (f *fakeRedis) Close() {}

// fakeWorld is the prober, the cluster and the lease at once.
type fakeWorld struct {
	journal
	redis map[string]*fakeRedis // by UID
	links map[string]*link.Link
	left  func() time.Duration

	mu        sync.Mutex
	stale     []string // UIDs, in the order of MarkStale
	refreshed []string
	refreshes []int             // how much had been done, at each Refresh
	cut       map[string]string // by UID: whether only writers, and how many
	clusterer error
}

func newWorld() *fakeWorld {
	w := &fakeWorld{
		redis: map[string]*fakeRedis{}, links: map[string]*link.Link{}, cut: map[string]string{},
		left: func() time.Duration { return time.Minute },
	}
	for i, name := range []string{"cache-0", "cache-1"} {
		redis := &fakeRedis{name: name, journal: &w.journal, fail: map[string]error{}}
		redis.info = redisclient.Info{
			RunID:         "run-" + name,
			Role:          redisclient.RoleReplica,
			LinkUp:        true,
			ReplID:        "a",
			Offset:        10,
			AppliedOffset: 10,
		}
		uid := fmt.Sprint("u", i)
		w.redis[uid] = redis
		w.links[uid] = link.New(redisclient.Options{}, func(redisclient.Options) link.Redis { return redis })
	}
	w.redis["u0"].info.Role = redisclient.RoleMaster
	return w
}

// ref names the present incarnation of a node.
func (w *fakeWorld) ref(uid string) failover.NodeRef {
	redis := w.redis[uid]
	return failover.NodeRef{Pod: redis.name, UID: uid, RunID: redis.info.RunID, IP: "10.0.0." + uid}
}

func (w *fakeWorld) execute(t *testing.T, actions ...failover.Action) []Result {
	t.Helper()
	return New(w, cluster{w}, w, Options{}).Execute(t.Context(), key, Master{Port: 6379}, actions)
}

func (w *fakeWorld) Left() time.Duration { return w.left() }

func (w *fakeWorld) Link(_, uid string) (*link.Link, bool) {
	l, ok := w.links[uid]
	return l, ok
}

func (w *fakeWorld) MarkStale(_, uid string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stale = append(w.stale, fmt.Sprint(uid, " after ", len(w.list())))
}

func (w *fakeWorld) MarkClientsCut(_, uid string, writersOnly bool, killed int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.cut[uid] = fmt.Sprint(writersOnly, " ", killed)
}

func (w *fakeWorld) Refresh(_ context.Context, _ string, uids ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refreshed = append(w.refreshed, uids...)
	w.refreshes = append(w.refreshes, len(w.list()))
}

// cluster writes down what would be done to Kubernetes.
type cluster struct{ *fakeWorld }

func (c cluster) Publish(_ context.Context, key string, a failover.Publish) error {
	c.add("publish %s %s %d", key, a.Node.Pod, a.Epoch)
	return c.clusterer
}

func (c cluster) Withdraw(_ context.Context, key string, a failover.Withdraw) error {
	c.add("withdraw %s %d", key, a.Epoch)
	return c.clusterer
}

func (c cluster) Label(_ context.Context, key string, a failover.Label) error {
	c.add("label %s %s %s", key, a.Node.Pod, a.Role)
	return c.clusterer
}

func (c cluster) DeletePod(_ context.Context, key string, a failover.DeletePod) error {
	c.add("delete %s %s", key, a.Node.UID)
	return c.clusterer
}

func (c cluster) AcknowledgeRequest(_ context.Context, key string, a failover.AcknowledgeRequest) error {
	c.add("acknowledge %s %s", key, a.ID)
	return c.clusterer
}
