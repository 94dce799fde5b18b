// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	libs "github.com/redisha/redisha/e2e/clients"
	"github.com/redisha/redisha/e2e/cluster"
)

const (
	librariesImage = "localhost/redisha/clients:e2e"
	// libraries are those in Go: a static binary needs no image but one that holds it.
	libraries = "go-redis,go-redis-16,go-redis-pool1-bare,rueidis,redigo,go-redis-multi,go-redis-subscriber,anew"
	// onControlPlane is there, too: its kube-proxy waits for the processor behind the API server, and the library waits a
	// second before it dials again when its first dial was refused.
	onControlPlane = "go-redis-pool1-bare"
	// librariesInterval is between two writes of each. Two cores carry the nodes as well: with every library on every
	// worker they had no time left, and a new master was published after 1 to 1.5 s.
	librariesInterval = 20
	// leftBehind is how long after a fault was over an application may be without an answer.
	leftBehind = 10 * time.Second
	// endpointsChange is how often those of another Service do in a cluster that is in use.
	endpointsChange = 300 * time.Millisecond
)

var _ = Describe("Client libraries on all workers", Label("clients"), Ordered, func() {
	report := &libs.Report{}
	BeforeAll(func(ctx SpecContext) {
		program, err := libs.GoPrograms(ctx, GinkgoWriter)
		Expect(err).NotTo(HaveOccurred())
		Expect(env.LoadProgram(ctx, GinkgoWriter, librariesImage, program)).To(Succeed())
	}, NodeTimeout(10*time.Minute))
	AfterAll(func() {
		fmt.Println(report.Text())
		text, err := report.JSON()
		Expect(err).NotTo(HaveOccurred())
		Expect(os.MkdirAll(artefacts(), 0o755)).To(Succeed())
		Expect(os.WriteFile(filepath.Join(artefacts(), "clients.json"), text, 0o644)).To(Succeed())
	})
	for _, busy := range []bool{false, true} {
		where := "a quiet cluster"
		if busy {
			where = "a cluster whose endpoints change all the time"
		}
		for _, f := range libraryFaults {
			It(
				fmt.Sprintf("are led to the new master in %s: %s", where, f.name),
				SpecTimeout(perScenario),
				func(ctx SpecContext) {
					c := beginCrowd(ctx)
					if busy {
						c.changeEndpoints(ctx)
					}
					for i := range count() {
						c.round(ctx, report, f, i+1, busy)
					}
				},
			)
		}
	}
})

// libraryFault is what happens to a master that applications write to.
type libraryFault struct {
	name string
	// ready prepares it, and returns what makes it happen and returns when it is over.
	ready   func(ctx context.Context, c *crowd) func() error
	planned bool
}

var libraryFaults = []libraryFault{
	{name: "kill", ready: func(ctx context.Context, c *crowd) func() error { return kill.ready(ctx, c.MasterPod()) }},
	{
		name:    "delete",
		planned: true,
		ready:   func(ctx context.Context, c *crowd) func() error { return deletion.ready(ctx, c.MasterPod()) },
	},
	{name: "hang", ready: func(ctx context.Context, c *crowd) func() error {
		victim := c.MasterPod()
		stop, goOn := hang.ready(ctx, victim), signalled("CONT")(ctx, victim)
		return func() error {
			if err := stop(); err != nil {
				return err
			}
			time.Sleep(15 * time.Second)
			_ = goOn() // its pod may have been replaced
			return nil
		}
	}},
	{name: "switchover", planned: true, ready: func(ctx context.Context, c *crowd) func() error {
		return func() error {
			c.Change(func(rha *v1alpha1.RedisHA) {
				metav1.SetMetaDataAnnotation(
					&rha.ObjectMeta, v1alpha1.AnnotationRequest, fmt.Sprintf("switchover#%d", time.Now().UnixNano()),
				)
			})
			return nil
		}
	}},
}

// crowd is a RedisHA with an application for each library, on its workers in turn.
type crowd struct {
	*scene
	applications []*podApplication
}

// podApplication is an application in a container of a pod.
type podApplication struct {
	libs.Application
	pod       string
	container string
	read      int // of its log
}

func beginCrowd(ctx context.Context) *crowd {
	GinkgoHelper()
	c := &crowd{scene: create(ctx, "", v1alpha1.RedisHASpec{})}
	c.Settle()
	selected, err := libs.Select(setting(envLibraries, libraries))
	Expect(err).NotTo(HaveOccurred())
	pods := map[string]*corev1.Pod{}
	add := func(l libs.Library, node string) {
		GinkgoHelper()
		if pods[node] == nil {
			pods[node] = c.pod(node)
		}
		container := l.Name
		if node == cluster.ControlPlane {
			l.Name += " on the control plane"
		}
		l.Interval = librariesInterval * int(l.Lanes)
		a := &podApplication{
			Application: libs.NewApplication(l, node+"-"+container),
			pod:         pods[node].Name,
			container:   container,
		}
		args, inGo := a.InGo(
			libs.Place{Host: resources.MasterServiceName(c.key.Name), Port: strconv.Itoa(int(resources.RedisPort))},
		)
		Expect(inGo).To(BeTrue(), l.Name)
		pods[node].Spec.Containers = append(pods[node].Spec.Containers, c.container(container, args))
		c.applications = append(c.applications, a)
	}
	for i, l := range selected {
		add(l, env.Workers[i%len(env.Workers)])
		if l.Name == onControlPlane {
			add(l, cluster.ControlPlane)
		}
	}
	for _, pod := range pods {
		Expect(env.client.Create(ctx, pod)).To(Succeed())
	}
	c.answered(ctx)
	return c
}

func (c *crowd) pod(node string) *corev1.Pod {
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.key.Namespace, Name: "clients-" + node},
		Spec: corev1.PodSpec{
			NodeName: node, TerminationGracePeriodSeconds: ptr.To(int64(0)), AutomountServiceAccountToken: ptr.To(false),
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: ptr.To(true), RunAsUser: ptr.To(int64(65532)),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
		},
	}
}

func (c *crowd) container(name string, args []string) corev1.Container {
	return corev1.Container{
		Name: name, Image: librariesImage, ImagePullPolicy: corev1.PullNever, Args: args,
		Env: []corev1.EnvVar{{Name: "REDIS_PASSWORD", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{
				Name: resources.MountSecretName(c.key.Name),
			},
			Key: resources.PasswordKey,
		}}}},
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: ptr.To(false), ReadOnlyRootFilesystem: ptr.To(true),
			Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
	}
}

// answered waits until every application gets answers.
func (c *crowd) answered(ctx context.Context) {
	GinkgoHelper()
	began := time.Now()
	Eventually(func(g Gomega) {
		c.readLogs(ctx)
		for _, a := range c.applications {
			g.Expect(a.Record.Silent(began)).To(BeFalse(), "%s in pod %s gets no answers", a.container, a.pod)
		}
	}).WithContext(ctx).WithPolling(2 * time.Second).Should(Succeed())
}

// readLogs takes in what the applications have told since it was last called. They are not followed: what is measured
// has the processor for itself.
func (c *crowd) readLogs(ctx context.Context) {
	for _, a := range c.applications {
		log, err := env.kube.CoreV1().
			Pods(c.key.Namespace).
			GetLogs(a.pod, &corev1.PodLogOptions{Container: a.container}).
			DoRaw(ctx)
		if err != nil || len(log) < a.read {
			continue
		}
		whole := strings.LastIndex(string(log), "\n") + 1
		for line := range strings.Lines(string(log[min(a.read, whole):whole])) {
			a.Record.Note(strings.TrimSpace(line))
		}
		a.read = whole
	}
}

func (c *crowd) round(ctx context.Context, report *libs.Report, f libraryFault, number int, busy bool) {
	GinkgoHelper()
	c.Settle()
	c.answered(ctx)
	epoch := c.Before.Status.Master.Epoch
	for _, a := range c.applications {
		a.Record.Begin()
	}
	happen := f.ready(ctx, c)
	time.Sleep(calm)
	at := time.Now()
	Expect(happen()).To(Succeed())
	over := time.Now()
	Eventually(
		func() int64 { return c.Get().Status.Master.Epoch },
	).WithContext(ctx).
		Should(BeNumerically(">", epoch), "another master")
	c.Settle()
	time.Sleep(time.Until(over.Add(leftBehind)))
	end := time.Now()
	c.readLogs(ctx)
	name := f.name
	if busy {
		name += ", busy"
	}
	if failover, found := libs.NewRound(name, number, at, epoch, c.Get().Status.History); found {
		report.Rounds = append(report.Rounds, failover)
	}
	var wrong []string
	for _, a := range c.applications {
		result := &libs.Result{
			Fault: name, Library: a.Name, Round: number, Planned: f.planned, Gap: a.Record.Gap(at, end).Milliseconds(),
			Left: a.Record.Silent(end.Add(-3 * time.Second)), Acked: a.Record.Acked(), Errors: a.Record.Errors(),
		}
		var err error
		result.Lost, err = a.LookUp(ctx, podStore{c.MasterPod()})
		Expect(err).NotTo(HaveOccurred())
		report.Results = append(report.Results, result)
		if result.Left || f.planned && result.Lost > 0 {
			wrong = append(wrong, fmt.Sprintf("%s in pod %s: left behind %t, %d lost", a.Name, a.pod, result.Left, result.Lost))
		}
	}
	Expect(wrong).To(BeEmpty())
	Expect(c.Wrong()).To(BeEmpty())
}

// podStore is the Redis in a pod.
type podStore struct{ pod *corev1.Pod }

// Get reads keys.
func (s podStore) Get(ctx context.Context, keys []string) ([]string, error) {
	text, err := env.redis(ctx, s.pod, append([]string{"--json", "mget"}, keys...)...)
	if err != nil {
		return nil, err
	}
	var found []*string
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		return nil, err
	}
	values := make([]string, len(found))
	for i := range found {
		values[i] = ptr.Deref(found[i], "")
	}
	return values, nil
}

// Delete deletes keys.
func (s podStore) Delete(ctx context.Context, keys []string) error {
	_, err := env.redis(ctx, s.pod, append([]string{"unlink"}, keys...)...)
	return err
}

// changeEndpoints changes those of a Service that has nothing to do with the RedisHA, as in a cluster where pods come
// and go, until the scenario ends.
func (c *crowd) changeEndpoints(ctx context.Context) {
	GinkgoHelper()
	other := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: c.key.Namespace, Name: "other"},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
	}
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: c.key.Namespace, Name: "other",
			Labels: map[string]string{discoveryv1.LabelServiceName: "other", discoveryv1.LabelManagedBy: "e2e"},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: ptr.To(""), Port: ptr.To(int32(80))}},
	}
	for _, object := range []client.Object{other, slice} {
		Expect(env.client.Create(ctx, object)).To(Succeed())
	}
	changing, stop := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for i := 0; changing.Err() == nil; i++ {
			was := slice.DeepCopy()
			slice.Endpoints = []discoveryv1.Endpoint{{Addresses: []string{fmt.Sprintf("192.0.2.%d", 1+i%250)}}}
			_ = env.client.Patch(changing, slice, client.MergeFrom(was))
			select {
			case <-changing.Done():
			case <-time.After(endpointsChange):
			}
		}
	}()
	DeferCleanup(func() { stop(); <-ended })
}
