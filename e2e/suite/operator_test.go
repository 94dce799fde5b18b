// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"bytes"
	"context"
	"os"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/e2e/testbed"
)

// What config/default and cmd/manager call them.
const (
	deployment = "redisha-controller-manager"
	lease      = "redisha-operator"
)

var operatorLabels = client.MatchingLabels{"control-plane": "controller-manager"}

// install does what README.md tells to do: the installer, applied with kubectl.
func (p *environment) install(ctx context.Context, installer string) {
	GinkgoHelper()
	manifests, err := os.ReadFile(installer)
	Expect(err).NotTo(HaveOccurred(), "make e2e writes it")
	there := p.client.Get(
		ctx, client.ObjectKey{Namespace: testbed.Namespace, Name: deployment}, &appsv1.Deployment{},
	) == nil
	p.apply(ctx, manifests)
	if there { // it may run what its image was before
		p.restartOperator(ctx)
	}
	p.operatorReady(ctx)
	Eventually(func() error { return p.client.List(ctx, &v1alpha1.RedisHAList{}) }).WithContext(ctx).Should(Succeed())
}

// apply is kubectl apply, followed by a wait for the operator to be rolled out.
func (p *environment) apply(ctx context.Context, manifests []byte) {
	GinkgoHelper()
	p.kubectl(ctx, bytes.NewReader(manifests), "apply", "--server-side", "-f", "-")
	p.kubectl(ctx, nil, "-n", testbed.Namespace, "rollout", "status", "deployment/"+deployment, "--timeout=180s")
}

// restartOperator replaces the operator's pods, one after the other, as an upgrade does.
func (p *environment) restartOperator(ctx context.Context) {
	GinkgoHelper()
	p.kubectl(ctx, nil, "-n", testbed.Namespace, "rollout", "restart", "deployment/"+deployment)
	p.kubectl(ctx, nil, "-n", testbed.Namespace, "rollout", "status", "deployment/"+deployment, "--timeout=180s")
}

// operatorReady waits until the Deployment is rolled out and one of its pods leads.
func (p *environment) operatorReady(ctx context.Context) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		d := &appsv1.Deployment{}
		g.Expect(p.client.Get(ctx, client.ObjectKey{Namespace: testbed.Namespace, Name: deployment}, d)).To(Succeed())
		want := ptr.Deref(d.Spec.Replicas, 1)
		g.Expect(d.Status.ObservedGeneration).To(Equal(d.Generation))
		g.Expect([]int32{d.Status.Replicas, d.Status.UpdatedReplicas, d.Status.AvailableReplicas}).To(HaveEach(want))
		g.Expect(p.operators(ctx)).To(HaveLen(int(want)), "former pods have gone")
		_, err := p.leader(ctx)
		g.Expect(err).NotTo(HaveOccurred())
	}).WithContext(ctx).Should(Succeed())
}

// operators are the operator's pods.
func (p *environment) operators(ctx context.Context) ([]corev1.Pod, error) {
	pods := &corev1.PodList{}
	err := p.client.List(ctx, pods, client.InNamespace(testbed.Namespace), operatorLabels)
	return pods.Items, err
}

// leader is the pod that the Lease names; an error if there is none.
func (p *environment) leader(ctx context.Context) (*corev1.Pod, error) {
	l := &coordinationv1.Lease{}
	if err := p.client.Get(ctx, client.ObjectKey{Namespace: testbed.Namespace, Name: lease}, l); err != nil {
		return nil, err
	}
	name, _, _ := strings.Cut(ptr.Deref(l.Spec.HolderIdentity, ""), "_")
	pod := &corev1.Pod{}
	return pod, p.client.Get(ctx, client.ObjectKey{Namespace: testbed.Namespace, Name: name}, pod)
}
