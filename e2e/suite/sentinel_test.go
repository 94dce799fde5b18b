// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"bytes"
	"context"
	"crypto/rand"
	_ "embed"
	"fmt"
	"slices"
	"strings"
	"text/template"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/e2e/checks"
	"github.com/redisha/redisha/redisclient"
)

//go:embed testdata/sentinel.yaml
var sentinelManifests string

// guarding is how a Redis is guarded by Sentinels; the comment of testdata/sentinel.yaml says what that means.
type guarding struct {
	DownAfter int64 // milliseconds
	Careful   bool
}

// guarded is the site of a Redis that three Sentinels guard.
type guarded struct {
	site
	victim *corev1.Pod // who was master when all was well
}

// How long Sentinels are waited for. An election without a winner is repeated after twice failover-timeout: 6 minutes.
const sentinelPatience = 7 * time.Minute

// guard makes a Redis and its Sentinels in a new namespace, and waits until all is well with them.
func guard(ctx context.Context, how guarding) *guarded {
	GinkgoHelper()
	s := &guarded{site: newSite(newNamespaces(ctx, 1)[0], "")}
	DeferCleanup(s.keepTracesOfFailure)
	objects, err := how.objects(s.key.Namespace, env.image())
	Expect(err).NotTo(HaveOccurred())
	for _, object := range objects {
		Expect(env.client.Create(ctx, object)).To(Succeed())
	}
	s.settle(ctx)
	return s
}

func (how guarding) objects(namespace, image string) ([]client.Object, error) {
	text, err := template.New("sentinel.yaml").Option("missingkey=error").Parse(sentinelManifests)
	if err != nil {
		return nil, err
	}
	var manifests bytes.Buffer
	err = text.Execute(&manifests, struct {
		guarding
		Namespace, Image, Password string
	}{how, namespace, image, rand.Text()})
	if err != nil {
		return nil, err
	}
	decoded, err := decode(manifests.Bytes())
	if err != nil {
		return nil, err
	}
	var objects []client.Object
	for _, object := range decoded {
		object.SetNamespace(namespace)
		objects = append(objects, object)
	}
	return objects, nil
}

// sentinels are the addresses that a client is given.
func (s *guarded) sentinels() string {
	var addrs []string
	for i := range 3 {
		addrs = append(addrs, fmt.Sprintf("sentinel-%d.sentinel.%s.svc.cluster.local:26379", i, s.key.Namespace))
	}
	return strings.Join(addrs, ",")
}

// suffer lets it happen to the master, and waits until all is well again. What it cost is reported, not judged.
func (s *guarded) suffer(ctx context.Context, f fault) {
	GinkgoHelper()
	was := s.victim
	f.befall(ctx, &s.site, was)
	s.acknowledgedWithin(ctx, sentinelPatience)
	if f.name == hang.name { // nothing else sees to it
		signal(ctx, was, redisProcess, "CONT")
	} else {
		s.restarted(ctx, was)
	}
	s.settle(ctx)
	s.acknowledged(ctx)
	result := s.stop(ctx)
	s.row.fill(result, s.at)
	for _, stream := range result.Streams {
		Expect(stream.Unverified).To(BeEmpty(), stream.Name)
	}
}

// restarted waits until the pod has been made anew, or its container has.
func (s *guarded) restarted(ctx context.Context, was *corev1.Pod) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		pod := &corev1.Pod{}
		g.Expect(env.client.Get(ctx, client.ObjectKeyFromObject(was), pod)).To(Succeed())
		g.Expect(pod.Status.ContainerStatuses).NotTo(BeEmpty())
		g.Expect(pod.UID != was.UID || pod.Status.ContainerStatuses[0].RestartCount > was.Status.ContainerStatuses[0].RestartCount).
			To(BeTrue())
	}).WithContext(ctx).WithTimeout(sentinelPatience).Should(Succeed())
}

// settle waits until the Sentinels agree on a master and everybody follows it, and remembers who that is.
func (s *guarded) settle(ctx context.Context) {
	GinkgoHelper()
	Eventually(
		s.lacking,
	).WithContext(ctx).
		WithTimeout(sentinelPatience).
		WithPolling(time.Second).
		Should(BeEmpty(), "all is well")
}

// lacking returns what is not well, empty when all is.
func (s *guarded) lacking(ctx context.Context) string {
	var master string
	lackingIn := func(pod *corev1.Pod) string {
		named, problem := asked(ctx, pod)
		if problem == "" && master != "" && named != master {
			problem = fmt.Sprintf("names %s, another one names %s", named, master)
		}
		master = named
		return problem
	}
	if problem := s.ofAll(ctx, "sentinel", lackingIn); problem != "" {
		return problem
	}
	return s.ofAll(ctx, s.key.Name, func(pod *corev1.Pod) string {
		info, err := env.info(ctx, pod)
		switch isMaster := strings.HasPrefix(master, pod.Name+"."); {
		case err != nil:
			return "does not answer"
		case isMaster && info.Role == redisclient.RoleMaster:
			s.victim = pod
		case isMaster:
			return "is not master"
		case info.MasterHost != master || !info.LinkUp || info.SyncInProgress:
			return "does not follow " + master
		}
		return ""
	})
}

// ofAll returns the first of three pods' problems.
func (s *guarded) ofAll(ctx context.Context, app string, problem func(*corev1.Pod) string) string {
	pods := &corev1.PodList{}
	if err := env.client.List(
		ctx, pods, client.InNamespace(s.key.Namespace), client.MatchingLabels{"app": app},
	); err != nil {
		return err.Error()
	}
	if len(pods.Items) != 3 {
		return fmt.Sprintf("%d pods of %s", len(pods.Items), app)
	}
	for i := range pods.Items {
		pod := &pods.Items[i]
		if p := problem(pod); p != "" || pod.DeletionTimestamp != nil {
			return pod.Name + ": " + p
		}
	}
	return ""
}

// asked asks a Sentinel for the name of the master, and for what is not well in its eyes.
func asked(ctx context.Context, pod *corev1.Pod) (master, problem string) {
	var answers [2][]map[string]string
	for i, about := range []string{"master", "replicas"} {
		text, err := env.redis(ctx, pod, "-p", "26379", "sentinel", about, "cache")
		if err != nil {
			return "", err.Error()
		}
		answers[i] = parseSentinel(text)
	}
	if len(answers[0]) != 1 {
		return "", fmt.Sprintf("%d masters", len(answers[0]))
	}
	return answers[0][0]["ip"], checks.LackingInSentinel(answers[0][0], answers[1])
}

// parseSentinel reads what redis-cli prints of a Sentinel's answer about instances: names and values in turn, a line
// each. Every instance begins with its name.
func parseSentinel(text string) []map[string]string {
	var instances []map[string]string
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for pair := range slices.Chunk(lines, 2) {
		if len(pair) < 2 {
			break
		}
		if pair[0] == "name" {
			instances = append(instances, map[string]string{})
		}
		if len(instances) > 0 {
			instances[len(instances)-1][pair[0]] = pair[1]
		}
	}
	return instances
}
