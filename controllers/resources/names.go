// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/encryption"
)

// Fixed parts of a Redis pod.
const (
	// RedisPort is the port Redis listens on for connections in clear, everywhere.
	RedisPort = encryption.PlainPort
	// RedisTLSPort is that for encrypted ones.
	RedisTLSPort = encryption.TLSPort
	// RedisTLSPortName names it in the Services and the master's EndpointSlice.
	RedisTLSPortName = "redis-tls"
	// RedisPortName names it in the pod, the Services and the master's EndpointSlice.
	RedisPortName = "redis"
	// RedisContainer is the name of the container that runs redis-server.
	RedisContainer = "redis"
	// FenceHost and FencePort are the address a fenced node replicates from:
	// no process listens there.
	FenceHost = "127.0.0.1"
	// FencePort is the port of the fence address.
	FencePort = 1
	// PasswordKey is the key of the password in GeneratedSecretName and MountSecretName.
	PasswordKey = "password"

	dataVolume   = "data"
	configVolume = "config"
	authVolume   = "auth"
	tmpVolume    = "tmp"
	configDir    = "/etc/redisha"
	authDir      = "/etc/redisha-auth"
	dataDir      = "/data"
)

// StatefulSetName is the name of the StatefulSet; its pods are NAME-0, NAME-1, ….
func StatefulSetName(name string) string { return name }

// PodName is the name of the pod with that ordinal.
func PodName(name string, ordinal int) string { return name + "-" + strconv.Itoa(ordinal) }

// Ordinal is the ordinal of a pod of the RedisHA called name; false when the pod
// is not named like one.
func Ordinal(name, pod string) (int, bool) {
	digits, found := strings.CutPrefix(pod, name+"-")
	if !found {
		return 0, false
	}
	ordinal, err := strconv.Atoi(digits)
	return ordinal, err == nil && ordinal >= 0
}

// HeadlessServiceName is the Service that gives every pod a DNS name.
func HeadlessServiceName(name string) string { return name + "-headless" }

// MasterServiceName is the Service that leads to the master. It has no selector;
// the failover controller writes its EndpointSlice, which has the same name.
func MasterServiceName(name string) string { return name + "-master" }

// ReplicasServiceName is the Service that leads to the replicas.
func ReplicasServiceName(name string) string { return name + "-replicas" }

// ConfigMapName holds redis.conf and the scripts.
func ConfigMapName(name string) string { return name + "-config" }

// Of two suffixes that name objects of one kind, neither ends with the other. So what one RedisHA owns is never named
// like what another one owns, whatever they are called.

// GeneratedSecretName is the Secret with the generated password, key PasswordKey.
func GeneratedSecretName(name string) string { return name + "-generated-auth" }

// FormerSecretName is what GeneratedSecretName was in earlier versions. That of a RedisHA called a-conf is what
// MountSecretName is for one called a.
func FormerSecretName(name string) string { return name + "-auth" }

// FormerSecretIsInTheWay reports whether another RedisHA may need the name for a Secret of its own.
func FormerSecretIsInTheWay(name string) bool {
	other, found := strings.CutSuffix(FormerSecretName(name), MountSecretName(""))
	return found && other != ""
}

// MountSecretName is the Secret that pods mount: the password in force under
// PasswordKey, and the same as settings of redis.conf. Whoever must talk to Redis
// reads this one, whether the password was generated or is the user's.
func MountSecretName(name string) string { return name + "-conf-auth" }

// UsersSecretName is the Secret with the passwords of the operator's own users, and with what is known of others.
func UsersSecretName(name string) string { return name + "-generated-users" }

// GeneratedTLSSecretName is the Secret with the authority and the certificate that the operator made. Clients need its
// ca.crt.
func GeneratedTLSSecretName(name string) string { return name + "-generated-tls" }

// ServerName is the name that the certificate of a pod is verified for.
func ServerName(namespace, name, pod string) string {
	return fmt.Sprintf("%s.%s.%s.svc", pod, HeadlessServiceName(name), namespace)
}

// NeededNames are those that a certificate of the RedisHA has to be for: of each pod, and of the Services.
func NeededNames(rha *v1alpha1.RedisHA) []string {
	var names []string
	for _, service := range []string{MasterServiceName(rha.Name), ReplicasServiceName(rha.Name)} {
		names = append(names, fmt.Sprintf("%s.%s.svc", service, rha.Namespace))
	}
	for ordinal := range int(Replicas(rha)) {
		names = append(names, ServerName(rha.Namespace, rha.Name, PodName(rha.Name, ordinal)))
	}
	return names
}

// GeneratedNames are those that the operator makes a certificate for: NeededNames, and how else clients name them.
func GeneratedNames(rha *v1alpha1.RedisHA) []string {
	var names []string
	for _, host := range []string{
		MasterServiceName(rha.Name), ReplicasServiceName(rha.Name), "*." + HeadlessServiceName(rha.Name),
	} {
		if !strings.HasPrefix(host, "*") {
			names = append(names, host)
		}
		for _, suffix := range []string{"", ".svc", ".svc.cluster.local"} {
			names = append(names, fmt.Sprintf("%s.%s%s", host, rha.Namespace, suffix))
		}
	}
	return append(names, "localhost")
}

// ClaimName is the PersistentVolumeClaim of the pod with that ordinal.
func ClaimName(name string, ordinal int) string {
	return fmt.Sprintf("%s-%s", dataVolume, PodName(name, ordinal))
}

// instanceLabel names the application that an object is part of. Tools that deploy an application and know what is its
// own by this label (Argo CD does by default) delete what carries it and is not in the application's sources, unless
// another object owns it.
const instanceLabel = "app.kubernetes.io/instance"

// Labels are on everything that belongs to the RedisHA called name.
func Labels(name string) map[string]string {
	return map[string]string{
		"app.kubernetes.io/name":       "redis",
		instanceLabel:                  name,
		"app.kubernetes.io/managed-by": "redisha",
		v1alpha1.LabelName:             name,
	}
}

// claimLabels are on the claims. Nothing owns a claim that is retained, so it does not carry instanceLabel: an
// application that is called like the RedisHA must not take it for its own and delete the data with it.
func claimLabels(name string) map[string]string {
	labels := Labels(name)
	delete(labels, instanceLabel)
	return labels
}

// LooksLikeAnApps reports a claim that carries the label of an application called like the RedisHA, as those carry that
// were made by an earlier version of the operator; and names that label.
func LooksLikeAnApps(claim *corev1.PersistentVolumeClaim, name string) (label string, is bool) {
	return instanceLabel, claim.Labels[instanceLabel] == name
}

// SelectorLabels select the Redis pods of the RedisHA called name.
func SelectorLabels(name string) map[string]string {
	return map[string]string{v1alpha1.LabelName: name}
}

func meta(rha *v1alpha1.RedisHA, name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Name: name, Namespace: rha.Namespace, Labels: Labels(rha.Name)}
}

// Replicas is the number of pods wanted; the default when the spec has none.
func Replicas(rha *v1alpha1.RedisHA) int32 {
	if rha.Spec.Replicas == nil {
		return v1alpha1.DefaultReplicas
	}
	return *rha.Spec.Replicas
}

// Hibernates reports a set of which no pod is to run.
func Hibernates(rha *v1alpha1.RedisHA) bool { return Replicas(rha) == 0 }

// HibernationMessage tells people of a set that hibernates where its data is, and how to wake it.
func HibernationMessage(rha *v1alpha1.RedisHA) string {
	const wake = "set spec.replicas to 1 or more to wake it"
	if rha.Spec.Storage == nil {
		return "no Redis runs; " + wake
	}
	return fmt.Sprintf("no Redis runs, and the data is on claim %s; %s", ClaimName(rha.Name, 0), wake)
}

func orDefault[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}
