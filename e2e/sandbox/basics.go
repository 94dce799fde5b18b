// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	storagev1 "k8s.io/api/storage/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/utils/ptr"
)

// StorageClass is the name of the sandbox's storage class, which is the default one. Its volumes are folders in memory
// that live until their claim is deleted.
const StorageClass = "sandbox"

const provisionerName = "redisha.io/sandbox"

// createBasics creates what a cluster has before anybody uses it: nodes and a storage class.
func createBasics(ctx context.Context, client kubernetes.Interface, nodes int) error {
	class := &storagev1.StorageClass{
		ObjectMeta: metav1.ObjectMeta{
			Name:        StorageClass,
			Annotations: map[string]string{"storageclass.kubernetes.io/is-default-class": "true"},
		},
		Provisioner:          provisionerName,
		ReclaimPolicy:        ptr.To(corev1.PersistentVolumeReclaimDelete),
		VolumeBindingMode:    ptr.To(storagev1.VolumeBindingWaitForFirstConsumer),
		AllowVolumeExpansion: ptr.To(true),
	}
	if _, err := client.StorageV1().StorageClasses().Create(ctx, class, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create storage class: %w", err)
	}
	for i := range nodes {
		node, err := client.CoreV1().Nodes().Create(ctx, newNode(i), metav1.CreateOptions{})
		if err != nil {
			return fmt.Errorf("create node: %w", err)
		}
		// Admission taints every new node as not ready and leaves it to the node lifecycle controller to take that back.
		node.Spec.Taints = nil
		if _, err := client.CoreV1().Nodes().Update(ctx, node, metav1.UpdateOptions{}); err != nil {
			return fmt.Errorf("clear the taints of a node: %w", err)
		}
	}
	// The API server makes it by itself, but not before it says that it is ready.
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: metav1.NamespaceDefault}}
	if _, err := client.CoreV1().
		Namespaces().
		Create(ctx, namespace, metav1.CreateOptions{}); err != nil &&
		!apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create namespace default: %w", err)
	}
	return nil
}

// NodeName returns the name of a node by its index.
func NodeName(index int) string { return "sandbox-" + strconv.Itoa(index) }

func newNode(index int) *corev1.Node {
	capacity := corev1.ResourceList{
		corev1.ResourceCPU: resource.MustParse("16"), corev1.ResourceMemory: resource.MustParse("64Gi"),
		corev1.ResourcePods: resource.MustParse("1000"), corev1.ResourceEphemeralStorage: resource.MustParse("64Gi"),
	}
	now := metav1.Now()
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: NodeName(index), Labels: map[string]string{
			corev1.LabelHostname: NodeName(
				index,
			),
			corev1.LabelOSStable:     "linux",
			corev1.LabelTopologyZone: "zone-" + strconv.Itoa(index),
		}},
		Status: corev1.NodeStatus{
			Capacity:    capacity,
			Allocatable: capacity,
			Addresses: []corev1.NodeAddress{
				{Type: corev1.NodeInternalIP, Address: nodeAddr(index).String()},
				{Type: corev1.NodeHostName, Address: NodeName(index)},
			},
			DaemonEndpoints: corev1.NodeDaemonEndpoints{KubeletEndpoint: corev1.DaemonEndpoint{Port: kubeletPort}},
			NodeInfo: corev1.NodeSystemInfo{
				KubeletVersion:          KubernetesVersion(),
				OperatingSystem:         "linux",
				ContainerRuntimeVersion: "sandbox://1",
			},
			Conditions: []corev1.NodeCondition{{
				Type: corev1.NodeReady, Status: corev1.ConditionTrue, Reason: "SandboxReady", Message: "pods can run",
				LastHeartbeatTime: now, LastTransitionTime: now,
			}},
		},
	}
}
