// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/redisha/redisha/api/v1alpha1"
)

// HeadlessService gives every pod a DNS name, ready or not.
func HeadlessService(rha *v1alpha1.RedisHA) *corev1.Service {
	svc := service(rha, HeadlessServiceName(rha.Name))
	svc.Spec.ClusterIP = corev1.ClusterIPNone
	svc.Spec.PublishNotReadyAddresses = true
	svc.Spec.Selector = SelectorLabels(rha.Name)
	return svc
}

// MasterService leads to the master. It has no selector: kube-proxy follows one
// write of the EndpointSlice within 100 ms, and a moved label ten times later.
func MasterService(rha *v1alpha1.RedisHA) *corev1.Service {
	return clientService(rha, MasterServiceName(rha.Name), rha.Spec.Services.Master)
}

// ReplicasService leads to the ready replicas, by the role label.
func ReplicasService(rha *v1alpha1.RedisHA) *corev1.Service {
	svc := clientService(rha, ReplicasServiceName(rha.Name), rha.Spec.Services.Replicas)
	svc.Spec.Selector = SelectorLabels(rha.Name)
	svc.Spec.Selector[v1alpha1.LabelRole] = v1alpha1.RoleReplica
	return svc
}

func clientService(rha *v1alpha1.RedisHA, name string, spec v1alpha1.ServiceSpec) *corev1.Service {
	svc := service(rha, name)
	svc.Spec.Type = orDefault(spec.Type, corev1.ServiceTypeClusterIP)
	svc.Annotations = maps.Clone(spec.Annotations)
	svc.Labels = merged(plain(spec.Labels), svc.Labels)
	svc.Spec.LoadBalancerClass = spec.LoadBalancerClass
	svc.Spec.ExternalTrafficPolicy = spec.ExternalTrafficPolicy
	for _, cidr := range spec.LoadBalancerSourceRanges {
		svc.Spec.LoadBalancerSourceRanges = append(svc.Spec.LoadBalancerSourceRanges, string(cidr))
	}
	return svc
}

func service(rha *v1alpha1.RedisHA, name string) *corev1.Service {
	return &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: meta(rha, name),
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeClusterIP,
			Ports: []corev1.ServicePort{{
				Name:       RedisPortName,
				Protocol:   corev1.ProtocolTCP,
				Port:       RedisPort,
				TargetPort: intstr.FromString(RedisPortName),
			}},
		},
	}
}
