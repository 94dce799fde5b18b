// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/e2e/testbed"
	"github.com/redisha/redisha/failover"
)

var _ = Describe("The operator", Label("core", "lifecycle"), func() {
	It("runs twice, on two nodes, as the shipped manifests say", SpecTimeout(perScenario), func(ctx SpecContext) {
		env.operatorReady(ctx)
		pods, err := env.operators(ctx)
		Expect(err).NotTo(HaveOccurred())
		nodes := map[string]bool{}
		for _, pod := range pods {
			nodes[pod.Spec.NodeName] = true
			Expect(pod.Spec.ServiceAccountName).To(Equal(deployment))
		}
		Expect(nodes).To(HaveLen(2))
	})
})

var _ = Describe("A RedisHA", Label("core", "lifecycle"), func() {
	It(
		"of the sample becomes three pods on three nodes with a Service that leads to the master",
		SpecTimeout(perScenario),
		func(ctx SpecContext) {
			s := create(ctx, "", sample("redisha.yaml"))
			s.Settle()
			pods := &corev1.PodList{}
			Expect(env.client.List(ctx, pods, client.InNamespace(s.key.Namespace))).To(Succeed())
			nodes := map[string]bool{}
			for _, pod := range pods.Items {
				nodes[pod.Spec.NodeName] = true
			}
			Expect(nodes).To(HaveLen(3))
			for _, service := range []string{resources.MasterServiceName(s.key.Name), resources.ReplicasServiceName(s.key.Name), resources.HeadlessServiceName(s.key.Name)} {
				Expect(
					env.client.Get(ctx, client.ObjectKey{Namespace: s.key.Namespace, Name: service}, &corev1.Service{}),
				).To(Succeed())
			}
			Expect(env.client.Get(ctx, s.key, &policyv1.PodDisruptionBudget{})).To(Succeed())
			s.OneMaster()
		},
	)

	It("of the full sample has a disk for each pod", SpecTimeout(perScenario), func(ctx SpecContext) {
		ns := newNamespaces(ctx, 1)[0]
		rha := &v1alpha1.RedisHA{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "cache"}, // as newScene has it
			Spec:       sample("redisha_full.yaml"),
		}
		rha.Spec.Image = env.image()
		Expect(env.client.Create(ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: rha.Spec.Auth.PasswordSecretRef.Name},
			StringData: map[string]string{rha.Spec.Auth.PasswordSecretRef.Key: "of-a-person-who-chose-it"},
		})).To(Succeed())
		Expect(env.client.Create(ctx, rha)).To(Succeed())
		s := newScene(ctx, ns, "")
		DeferCleanup(s.keepTracesOfFailure)
		s.Settle()
		Expect(claims(ctx, ns)).To(HaveLen(3))
	})

	It(
		"that is scaled from 1 to 3 to 5 to 2 loses no acknowledged write",
		SpecTimeout(perScenario),
		func(ctx SpecContext) {
			s := create(ctx, "scaled 1, 3, 5, 2", v1alpha1.RedisHASpec{Replicas: ptr.To[int32](1)})
			s.Settle()
			s.write(ctx, s.MasterPod(), "--streams=service/plain,pods/plain") // a single pod has no replica to confirm anything
			s.fault()
			for _, replicas := range []int32{3, 5} {
				s.scale(replicas)
				s.acknowledged(ctx)
			}
			s.requestOf(ctx, resources.PodName(s.key.Name, 3))
			s.switchOver(ctx, resources.PodName(s.key.Name, 4)) // so that the master is one of those that go
			leaving := s.Settle().Status.Failover.Epoch
			s.scale(2)
			Expect(s.Before.Status.Failover.Epoch).To(Equal(leaving+1), "one switchover to a pod that stays")
			Expect(s.Before.Status.History[0].Cause).To(Equal(string(failover.DiagnosisMasterScaledAway)))
			s.Reason = s.Before.Status.History[0].Cause
			s.end(ctx, 0)
		},
	)

	It(
		"that is deleted leaves its disks, and its data, if told to retain them",
		SpecTimeout(perScenario),
		func(ctx SpecContext) {
			s := create(ctx, "", stored(v1alpha1.RetentionRetain))
			s.Settle()
			_, err := env.redis(ctx, s.MasterPod(), "set", "kept", "for later")
			Expect(err).NotTo(HaveOccurred())
			s.deleteAndWait(ctx)
			Expect(claims(ctx, s.key.Namespace)).To(HaveLen(3))
			again := &v1alpha1.RedisHA{
				ObjectMeta: metav1.ObjectMeta{Namespace: s.key.Namespace, Name: s.key.Name},
				Spec:       s.Before.Spec,
			}
			Expect(env.client.Create(ctx, again)).To(Succeed())
			s.Settle()
			Expect(env.redis(ctx, s.MasterPod(), "get", "kept")).To(Equal("for later\n"))
		},
	)

	It("that is deleted takes its disks along if told to delete them", SpecTimeout(perScenario), func(ctx SpecContext) {
		s := create(ctx, "", stored(v1alpha1.RetentionDelete))
		s.Settle()
		Expect(claims(ctx, s.key.Namespace)).To(HaveLen(3))
		s.deleteAndWait(ctx)
		Eventually(
			func() ([]corev1.PersistentVolumeClaim, error) { return claims(ctx, s.key.Namespace) },
		).WithContext(ctx).
			Should(BeEmpty())
	})

	DescribeTable("is refused, naming the field and the remedy, if it", func(ctx SpecContext, spec, says string) {
		object := &unstructured.Unstructured{}
		Expect(
			yaml.Unmarshal([]byte("apiVersion: redisha.io/v1alpha1\nkind: RedisHA\nspec: {"+spec+"}"), &object.Object),
		).To(Succeed())
		object.SetNamespace("default")
		object.SetName("refused")
		err := env.client.Create(ctx, object, client.DryRunAll)
		Expect(err).To(MatchError(ContainSubstring(says)))
	},
		Entry("hibernates without a disk", "replicas: 0", "create a RedisHA with spec.storage"),
		Entry("has more replicas than are tested", "replicas: 10", "use 1 to 9"),
		Entry("wants to persist without a disk", "config: {appendonly: 'yes'}", "set spec.storage"),
		Entry("sets what is the operator's", "config: {replicaof: 'a 1'}", "it alone says who is master"),
		Entry("is less patient than is safe", "failover: {downAfterMilliseconds: 499}", "use 500 or more"),
		Entry("has a size that is none", "storage: {size: big}", "write it like 8Gi"),
	)
})

// sample is the spec of one of config/samples.
func sample(file string) v1alpha1.RedisHASpec {
	GinkgoHelper()
	rha := &v1alpha1.RedisHA{}
	Expect(yaml.UnmarshalStrict(sampleText(file), rha)).To(Succeed())
	return rha.Spec
}

func sampleText(file string) []byte {
	GinkgoHelper()
	root, err := testbed.Root()
	Expect(err).NotTo(HaveOccurred())
	text, err := os.ReadFile(filepath.Join(root, "config/samples", file))
	Expect(err).NotTo(HaveOccurred())
	return text
}

func stored(retention v1alpha1.RetentionPolicy) v1alpha1.RedisHASpec {
	return v1alpha1.RedisHASpec{Storage: &v1alpha1.StorageSpec{
		Size: resource.MustParse("64Mi"), Retention: v1alpha1.StorageRetention{WhenDeleted: retention},
	}}
}

func claims(ctx context.Context, namespace string) ([]corev1.PersistentVolumeClaim, error) {
	list := &corev1.PersistentVolumeClaimList{}
	err := env.client.List(ctx, list, client.InNamespace(namespace))
	return list.Items, err
}

// requestOf makes the RedisHARequest of the sample, to that pod, and waits until it is carried out and deleted.
func (s *scene) requestOf(ctx context.Context, pod string) {
	GinkgoHelper()
	request := &v1alpha1.RedisHARequest{}
	Expect(yaml.UnmarshalStrict(sampleText("redisharequest.yaml"), request)).To(Succeed())
	request.Namespace, request.Spec.RedisHA, request.Spec.Pod = s.key.Namespace, s.key.Name, pod
	request.Spec.IfMaster, request.Spec.TTLSecondsAfterFinished = s.MasterPod().Name, ptr.To[int32](0)
	Expect(env.client.Create(ctx, request)).To(Succeed())
	Eventually(func() bool {
		return apierrors.IsNotFound(env.client.Get(ctx, client.ObjectKeyFromObject(request), request))
	}).WithContext(ctx).Should(BeTrue())
	status := s.Get().Status
	Expect(status.Master.Pod).To(Equal(pod))
	Expect(status.Requests[0].State).To(Equal(v1alpha1.RequestSucceeded), status.Requests[0].Message)
}

// switchOver makes a person's request by annotation and waits until that pod is master.
func (s *scene) switchOver(ctx context.Context, pod string) {
	GinkgoHelper()
	s.Change(func(rha *v1alpha1.RedisHA) {
		metav1.SetMetaDataAnnotation(
			&rha.ObjectMeta, v1alpha1.AnnotationRequest, fmt.Sprintf("switchover:%s#%d", pod, time.Now().UnixNano()),
		)
	})
	Eventually(func() string { return s.Get().Status.Master.Pod }).WithContext(ctx).Should(Equal(pod))
}

// deleteAndWait deletes the RedisHA and returns when all its pods have gone.
func (s *scene) deleteAndWait(ctx context.Context) {
	GinkgoHelper()
	Expect(env.client.Delete(ctx, s.Get())).To(Succeed())
	Eventually(func(g Gomega) {
		pods := &corev1.PodList{}
		g.Expect(env.client.List(ctx, pods, client.InNamespace(s.key.Namespace))).To(Succeed())
		g.Expect(pods.Items).To(BeEmpty())
	}).WithContext(ctx).Should(Succeed())
}
