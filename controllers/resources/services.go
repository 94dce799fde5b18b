// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"maps"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/encryption"
)

// HeadlessService gives every pod a DNS name, ready or not.
func HeadlessService(rha *v1alpha1.RedisHA, state encryption.State) *corev1.Service {
	svc := service(rha, HeadlessServiceName(rha.Name), state)
	svc.Spec.ClusterIP = corev1.ClusterIPNone
	svc.Spec.PublishNotReadyAddresses = true
	svc.Spec.Selector = SelectorLabels(rha.Name)
	return svc
}

// MasterService leads to the master. It has no selector: kube-proxy follows one
// write of the EndpointSlice within 100 ms, and a moved label ten times later.
func MasterService(rha *v1alpha1.RedisHA, state encryption.State) *corev1.Service {
	return clientService(rha, MasterServiceName(rha.Name), rha.Spec.Services.Master, state)
}

// ReplicasService leads to the ready replicas, by the role label.
func ReplicasService(rha *v1alpha1.RedisHA, state encryption.State) *corev1.Service {
	svc := clientService(rha, ReplicasServiceName(rha.Name), rha.Spec.Services.Replicas, state)
	svc.Spec.Selector = SelectorLabels(rha.Name)
	svc.Spec.Selector[v1alpha1.LabelRole] = v1alpha1.RoleReplica
	return svc
}

func clientService(
	rha *v1alpha1.RedisHA, name string, spec v1alpha1.ServiceSpec, state encryption.State,
) *corev1.Service {
	svc := service(rha, name, state)
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

// MasterPorts are those of the master's EndpointSlice. Its Service has the same names.
func MasterPorts(state encryption.State) []discoveryv1.EndpointPort {
	ports := servicePorts(state)
	endpoints := make([]discoveryv1.EndpointPort, 0, len(ports))
	for _, port := range ports {
		endpoints = append(endpoints, discoveryv1.EndpointPort{
			Name: ptr.To(port.Name), Port: ptr.To(port.Port), Protocol: ptr.To(port.Protocol),
		})
	}
	return endpoints
}

// servicePorts leads to the ports that every process has. That for encrypted connections has no name in the pods: those
// that were there before it would have to be replaced to get one.
func servicePorts(state encryption.State) []corev1.ServicePort {
	var ports []corev1.ServicePort
	if !state.Required() {
		ports = append(ports, corev1.ServicePort{
			Name: RedisPortName, Protocol: corev1.ProtocolTCP, Port: RedisPort, TargetPort: intstr.FromString(RedisPortName),
		})
	}
	if state.Used() {
		ports = append(ports, corev1.ServicePort{
			Name: RedisTLSPortName, Protocol: corev1.ProtocolTCP, Port: RedisTLSPort, TargetPort: intstr.FromInt32(RedisTLSPort),
		})
	}
	return ports
}

func service(rha *v1alpha1.RedisHA, name string, state encryption.State) *corev1.Service {
	return &corev1.Service{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Service"},
		ObjectMeta: meta(rha, name),
		Spec: corev1.ServiceSpec{
			Type:  corev1.ServiceTypeClusterIP,
			Ports: servicePorts(state),
		},
	}
}
