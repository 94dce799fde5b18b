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
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/e2e/checks"
	"github.com/redisha/redisha/redisclient"
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
	before *v1alpha1.RedisHA // when all was well
	wrong  func() []string   // with what was published, at any instant
	fine   bool              // all that was to be seen of it was as it should be, whatever may be wrong elsewhere
}

// begin creates a RedisHA, waits until all is well with it, and lets the chaos client write to it. Title names its row
// in the table.
func begin(ctx context.Context, title string, spec v1alpha1.RedisHASpec) *scene {
	GinkgoHelper()
	s := create(ctx, title, spec)
	s.settle(ctx)
	s.write(ctx, s.master(ctx))
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
	s := &scene{site: newSite(namespace, title)}
	rha := &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{Namespace: s.key.Namespace, Name: s.key.Name}, Spec: spec}
	Expect(env.client.Create(ctx, rha)).To(Succeed())
	wrong, stop := checks.WatchInstants(context.WithoutCancel(ctx), env.client, s.key)
	s.wrong = wrong
	DeferCleanup(func() {
		if CurrentSpecReport().Failed() && !s.fine {
			s.keepTraces()
			s.row.Failed = true
		}
		stop()
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

// settle waits until all is well, remembers that as how it was before, and returns it.
func (s *scene) settle(ctx context.Context) *v1alpha1.RedisHA {
	GinkgoHelper()
	Eventually(func() string {
		rha := &v1alpha1.RedisHA{}
		if err := env.client.Get(ctx, s.key, rha); err != nil {
			return err.Error()
		}
		s.before = rha
		if problem := checks.Lacking(rha); problem != "" {
			return problem
		}
		pods := &corev1.PodList{}
		if err := env.client.List(
			ctx, pods, client.InNamespace(s.key.Namespace), client.MatchingLabels(resources.SelectorLabels(s.key.Name)),
		); err != nil {
			return err.Error()
		}
		return checks.LackingInRedis(
			rha,
			pods.Items,
			func(pod *corev1.Pod) (redisclient.Info, error) { return env.info(ctx, pod) },
		)
	}).WithContext(ctx).WithTimeout(3*time.Minute).WithPolling(500*time.Millisecond).Should(BeEmpty(), "all is well")
	return s.before
}

func (s *scene) get(ctx context.Context) *v1alpha1.RedisHA {
	GinkgoHelper()
	rha := &v1alpha1.RedisHA{}
	Expect(env.client.Get(ctx, s.key, rha)).To(Succeed())
	return rha
}

// change changes the spec.
func (s *scene) change(ctx context.Context, what func(*v1alpha1.RedisHA)) {
	GinkgoHelper()
	rha := s.get(ctx)
	was := rha.DeepCopy()
	what(rha)
	Expect(env.client.Patch(ctx, rha, client.MergeFrom(was))).To(Succeed())
}

// scale is what kubectl scale does, followed by a wait until all is well.
func (s *scene) scale(ctx context.Context, replicas int32) *v1alpha1.RedisHA {
	GinkgoHelper()
	s.change(ctx, func(rha *v1alpha1.RedisHA) { rha.Spec.Replicas = ptr.To(replicas) })
	return s.settle(ctx)
}

// master is the pod that is master, by the status of when all was well.
func (s *scene) master(ctx context.Context) *corev1.Pod {
	GinkgoHelper()
	pod := &corev1.Pod{}
	Expect(
		env.client.Get(ctx, client.ObjectKey{Namespace: s.key.Namespace, Name: s.before.Status.Master.Pod}, pod),
	).To(Succeed())
	Expect(string(pod.UID)).To(Equal(s.before.Status.Master.PodUID))
	return pod
}
