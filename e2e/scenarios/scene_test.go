// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/e2e/chaos"
	"github.com/redisha/redisha/e2e/scenes"
)

// patience bounds a scenario, and every single thing that is waited for in it.
const patience = 3 * time.Minute

// unreplicated is a master's last writes, see scenes.Scene.
const unreplicated = 20

// scene is a RedisHA under write load to which something is about to happen.
type scene struct {
	*scenes.Scene
	t        *testing.T
	password string
	writers  *chaos.Writers
	at       time.Time // when the fault happened
	row      row
}

// begin creates a RedisHA in a namespace of its own, waits until all is well with it, and writes to it.
func begin(t *testing.T, title string, spec v1alpha1.RedisHASpec, seeds ...client.Object) *scene {
	t.Helper()
	s := create(t, title, spec, seeds...)
	s.Settle()
	s.write()
	return s
}

// create makes the RedisHA, and before it the seeds in its namespace, and waits for nothing.
func create(t *testing.T, title string, spec v1alpha1.RedisHASpec, seeds ...client.Object) *scene {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	key := client.ObjectKey{Namespace: newNamespace(ctx, t), Name: "cache"}
	s := &scene{t: t, row: row{scenario: title}, Scene: &scenes.Scene{
		T: t, Ctx: ctx, Client: bed.Client, Key: key, Patience: time.Minute, Unreplicated: unreplicated,
	}}
	s.Stage = stage{s}
	for _, object := range seeds {
		object.SetNamespace(key.Namespace)
		if err := bed.Client.Create(ctx, object); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(s.Create(spec))
	t.Cleanup(func() {
		if s.writers != nil {
			s.writers.Stop()
		}
		if s.row.failed = t.Failed(); s.row.failed {
			s.keepTraces()
		}
		s.row.reason = s.Reason
		if s.row.acked > 0 {
			results.Add(s.row)
		}
		if err := bed.Sandbox.HealAll(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// newNamespace makes a namespace that goes when the test ends; no test waits for that.
func newNamespace(ctx context.Context, t *testing.T) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "scene-"}}
	if err := bed.Client.Create(ctx, ns); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		if err := bed.Client.Delete(ctx, ns); err != nil {
			t.Error(err)
		}
	})
	return ns.Name
}

// write begins to write through the master's Service, and returns when writes are acknowledged.
func (s *scene) write() {
	s.t.Helper()
	finder, err := chaos.FindService(s.Ctx, bed.Kube, s.Key.Namespace, resources.MasterServiceName(s.Key.Name))
	if err != nil {
		s.t.Fatal(err)
	}
	s.writeTo(chaos.Options{Finder: finder})
}

func (s *scene) writeTo(options chaos.Options) {
	s.t.Helper()
	var err error
	if s.password, err = bed.Password(s.Ctx, s.Key); err != nil {
		s.t.Fatal(err)
	}
	options.Password, options.Dial = s.password, bed.Clients.DialContext
	s.writers = chaos.Start(options)
	s.acknowledged(time.Now().Add(500 * time.Millisecond))
}

// asking finds the master as a client does that asks the API before every dial. It learns what was published at once; a
// Service leads there when the nodes' proxies have learnt it, and theirs are watches that are begun anew with growing
// pauses.
type asking struct{ key client.ObjectKey }

var errNowhere = errors.New("the master's Service leads nowhere")

// Find reads the EndpointSlice.
func (a asking) Find(ctx context.Context) (chaos.Place, error) {
	slice := &discoveryv1.EndpointSlice{}
	key := client.ObjectKey{Namespace: a.key.Namespace, Name: resources.MasterServiceName(a.key.Name)}
	if err := bed.Client.Get(ctx, key, slice); err != nil {
		return chaos.Place{}, err
	}
	if len(slice.Endpoints) == 0 {
		return chaos.Place{}, errNowhere
	}
	return chaos.Place{
		Addr: net.JoinHostPort(slice.Endpoints[0].Addresses[0], strconv.Itoa(int(resources.RedisPort))),
	}, nil
}

// acknowledged waits for a write that is acknowledged after the instant.
func (s *scene) acknowledged(after time.Time) time.Time {
	s.t.Helper()
	at, err := s.writers.WaitAck(s.Ctx, after)
	if err != nil {
		s.t.Fatal(err)
	}
	return at
}

// fault notes that it happens now. Only the first counts.
func (s *scene) fault() {
	if s.at.IsZero() {
		s.at = time.Now()
	}
}

// redis is a connection to one pod's Redis, from where the applications run.
func (s *scene) redis(pod string) *redis.Client {
	s.t.Helper()
	addr, err := bed.Sandbox.PodAddr(s.Key.Namespace, pod)
	if err != nil {
		s.t.Fatal(err)
	}
	c := redis.NewClient(&redis.Options{
		Addr: net.JoinHostPort(
			addr.String(), strconv.Itoa(int(resources.RedisPort)),
		),
		Password:                 s.password,
		Dialer:                   bed.Clients.DialContext,
		MaxRetries:               -1,
		DialerRetries:            1,
		PoolSize:                 1,
		DisableIdentity:          true,
		ReadTimeout:              2 * time.Second,
		DialTimeout:              time.Second,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	s.t.Cleanup(func() { _ = c.Close() })
	return c
}

// granted lets the default user do everything, for what a person does by hand.
func granted() *v1alpha1.AuthSpec { return &v1alpha1.AuthSpec{Rules: []v1alpha1.ACLRule{"+@all"}} }

// do sends a command to a pod's Redis, as a person with redis-cli would.
func (s *scene) do(pod string, command ...any) any {
	s.t.Helper()
	reply, err := s.redis(pod).Do(s.Ctx, command...).Result()
	if err != nil && err != redis.Nil { //nolint:errorlint // go-redis returns it as it is
		s.t.Fatalf("%v at %s: %v", command, pod, err)
	}
	return reply
}

// info returns a field of INFO, empty when the pod does not answer or does not have it.
func (s *scene) info(pod, field string) string {
	s.t.Helper()
	text, err := s.redis(pod).Info(s.Ctx).Result()
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
