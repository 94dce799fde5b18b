// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"context"
	"os"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/e2e/scenes"
)

// site is a namespace with a Redis in it, to which something is about to happen, and with a client that writes to it.
type site struct {
	clients
	key client.ObjectKey // the namespace, and what the Redis is called there
	at  time.Time        // when it happened
	row row
}

func newSite(namespace, title string) site {
	return site{key: client.ObjectKey{Namespace: namespace, Name: "cache"}, row: row{Scenario: title}}
}

// fault notes that it happens now. Only the first counts.
func (s *site) fault() {
	if s.at.IsZero() {
		s.at = time.Now()
	}
}

// scene is the site of a RedisHA.
type scene struct {
	site
	*scenes.Scene
	fine bool // all that was to be seen of it was as it should be, whatever may be wrong elsewhere
}

// newScene has no RedisHA in it yet.
func newScene(ctx context.Context, namespace, title string) *scene {
	s := &scene{site: newSite(namespace, title)}
	s.Scene = &scenes.Scene{
		T: GinkgoT(), Ctx: ctx, Client: env.client, Key: s.key, Stage: stage{s, ctx}, Patience: 2 * time.Minute,
		Unreplicated: unreplicated,
	}
	return s
}

// begin creates a RedisHA, waits until all is well with it, and lets the chaos client write to it. Title names its row
// in the table.
func begin(ctx context.Context, title string, spec v1alpha1.RedisHASpec) *scene {
	GinkgoHelper()
	s := create(ctx, title, spec)
	s.Settle()
	s.write(ctx, s.MasterPod())
	return s
}

// create makes the RedisHA in a new namespace and waits for nothing. Without a title there will be no row.
func create(ctx context.Context, title string, spec v1alpha1.RedisHASpec) *scene {
	GinkgoHelper()
	return createIn(ctx, newNamespaces(ctx, 1)[0], title, spec)
}

func createIn(ctx context.Context, namespace, title string, spec v1alpha1.RedisHASpec) *scene {
	GinkgoHelper()
	if spec.Image == "" {
		spec.Image = env.image()
	}
	if spec.Failover.Consistency == "" {
		spec.Failover.Consistency = v1alpha1.Consistency(os.Getenv(envConsistency)) // empty: the default
	}
	s := newScene(ctx, namespace, title)
	stop := s.Create(spec)
	DeferCleanup(func() {
		if CurrentSpecReport().Failed() && !s.fine {
			s.keepTraces()
			s.row.Failed = true
		}
		stop()
		s.row.Reason = s.Reason
		if title != "" {
			results.Add(s.row)
		}
	})
	return s
}

// newNamespaces makes namespaces that admit nothing but what the Restricted Pod Security standard allows. They go with
// all that is in them when the scenario ends, and that is waited for, so that the next one has the machine to itself.
func newNamespaces(ctx context.Context, n int) []string {
	GinkgoHelper()
	var names []string
	DeferCleanup(func(ctx SpecContext) {
		if os.Getenv(envKeep) == "" || !CurrentSpecReport().Failed() {
			removeNamespaces(ctx, names)
		}
	}, NodeTimeout(4*time.Minute))
	for range n {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
			GenerateName: "e2e-", Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
		}}
		Expect(env.client.Create(ctx, ns)).To(Succeed())
		names = append(names, ns.Name)
	}
	return names
}

func removeNamespaces(ctx context.Context, names []string) {
	GinkgoHelper()
	for _, name := range names {
		ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}}
		Expect(client.IgnoreNotFound(env.client.Delete(ctx, ns))).To(Succeed())
	}
	Eventually(func(g Gomega) {
		for _, name := range names { // a Redis that is told to go waits for its successor, who will not come
			g.Expect(env.client.DeleteAllOf(ctx, &corev1.Pod{}, client.InNamespace(name), client.GracePeriodSeconds(1))).
				To(Succeed())
		}
		for _, name := range names {
			err := env.client.Get(ctx, client.ObjectKey{Name: name}, &corev1.Namespace{})
			g.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "namespace %s has gone", name)
		}
	}).WithContext(ctx).WithTimeout(4 * time.Minute).WithPolling(2 * time.Second).Should(Succeed())
}

// scale is what kubectl scale does, followed by a wait until all is well.
func (s *scene) scale(replicas int32) *v1alpha1.RedisHA {
	GinkgoHelper()
	s.Change(func(rha *v1alpha1.RedisHA) { rha.Spec.Replicas = ptr.To(replicas) })
	return s.Settle()
}
