// SPDX-License-Identifier: Apache-2.0

package resources

import (
	_ "embed" // the start scripts are files, so that a shell linter can read them
	"maps"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/redisha/redisha/api/v1alpha1"
)

// redisUser is user and group of the published Redis and Valkey images.
const redisUser int64 = 999

func podTemplate(rha *v1alpha1.RedisHA) corev1.PodTemplateSpec {
	extra := ptr.Deref(rha.Spec.PodTemplate, v1alpha1.PodTemplateSpec{})
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{
			Labels: merged(plain(extra.Labels), Labels(rha.Name)),
			Annotations: merged(extra.Annotations, map[string]string{
				v1alpha1.AnnotationSpecHash: SpecHash(rha), v1alpha1.AnnotationSettings: RecordOf(rha).String(),
				v1alpha1.AnnotationResources: SizesOf(rha).String(),
			}),
		},
		Spec: podSpec(rha, extra),
	}
}

// merged is what a person adds, with ours put over it.
func merged(theirs, ours map[string]string) map[string]string {
	all := maps.Clone(theirs)
	if all == nil {
		all = map[string]string{}
	}
	maps.Copy(all, ours)
	return all
}

// plain are labels as the Kubernetes types have them.
func plain(labels map[string]v1alpha1.LabelValue) map[string]string {
	if labels == nil {
		return nil
	}
	values := make(map[string]string, len(labels))
	for name, value := range labels {
		values[name] = string(value)
	}
	return values
}

func podSpec(rha *v1alpha1.RedisHA, extra v1alpha1.PodTemplateSpec) corev1.PodSpec {
	spec := corev1.PodSpec{
		AutomountServiceAccountToken: ptr.To(false),
		EnableServiceLinks:           ptr.To(false),
		TerminationGracePeriodSeconds: ptr.To(
			ptr.Deref(extra.TerminationGracePeriodSeconds, v1alpha1.DefaultTerminationGracePeriodSeconds),
		),
		ImagePullSecrets:          rha.Spec.ImagePullSecrets,
		ServiceAccountName:        extra.ServiceAccountName,
		PriorityClassName:         extra.PriorityClassName,
		RuntimeClassName:          extra.RuntimeClassName,
		DNSConfig:                 extra.DNSConfig,
		NodeSelector:              plain(extra.NodeSelector),
		Tolerations:               extra.Tolerations,
		Affinity:                  orDefault(extra.Affinity, defaultAffinity(rha.Name)),
		TopologySpreadConstraints: extra.TopologySpreadConstraints,
		SecurityContext:           orDefault(extra.SecurityContext, defaultPodSecurity()),
		InitContainers:            extra.InitContainers,
		Containers:                append([]corev1.Container{redisContainer(rha, extra)}, extra.ExtraContainers...),
		Volumes:                   append(volumes(rha), extra.ExtraVolumes...),
	}
	if spec.TopologySpreadConstraints == nil {
		spec.TopologySpreadConstraints = defaultSpread(rha.Name)
	}
	return spec
}

//go:embed scripts/start.sh
var startScript string

//go:embed scripts/volume.sh
var volumeScript string

// startCommand has the scripts in itself: the ConfigMap may be of another version of the operator than the pod, during
// an upgrade and after a rollback.
func startCommand() []string {
	return []string{
		"sh",
		"-c",
		withoutComments(volumeScript) + withoutComments(startScript),
		"redisha",
		configDir + "/redis.conf",
	}
}

// withoutComments drops whole lines of comments: every pod object carries the text, and every operator's cache does.
func withoutComments(script string) string {
	var b strings.Builder
	for line := range strings.Lines(script) {
		if text := strings.TrimSpace(line); text != "" && !strings.HasPrefix(text, "#") {
			b.WriteString(line)
		}
	}
	return b.String()
}

func redisContainer(rha *v1alpha1.RedisHA, extra v1alpha1.PodTemplateSpec) corev1.Container {
	return corev1.Container{
		Name:            RedisContainer,
		Image:           orDefault(rha.Spec.Image, v1alpha1.DefaultImage),
		ImagePullPolicy: rha.Spec.ImagePullPolicy,
		Command:         startCommand(),
		Ports: []corev1.ContainerPort{{
			Name: RedisPortName, ContainerPort: RedisPort, Protocol: corev1.ProtocolTCP,
		}},
		Env:       extra.Env,
		Resources: rha.Spec.Resources,
		// What Redis prints when it ends is in the pod's status then, and from there in the condition Progressing.
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
		SecurityContext:          orDefault(extra.ContainerSecurityContext, defaultContainerSecurity()),
		VolumeMounts: append([]corev1.VolumeMount{
			{Name: dataVolume, MountPath: dataDir},
			{Name: configVolume, MountPath: configDir, ReadOnly: true},
			{Name: authVolume, MountPath: authDir, ReadOnly: true},
			{Name: tmpVolume, MountPath: "/tmp"},
		}, extra.ExtraVolumeMounts...),
		// No startup probe: one that asks often until a pod is ready asks the more the worse a machine is off. A pod that is
		// not ready is asked again each time that the kubelet looks at it, when it is labelled for instance. It is never
		// killed for not being ready; who waits for a master may wait for long.
		ReadinessProbe: probe("ready", 20, 2, 20),
		// A hung Redis is the failover controller's business at once, and the kubelet's only if it stays hung.
		LivenessProbe: probe("live", 60, 2, 60),
		Lifecycle: &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{
			Exec: &corev1.ExecAction{Command: []string{"sh", configDir + "/prestop.sh"}},
		}},
	}
}

// probe runs health.sh in the container. Each exec costs a node 50 to 200 ms of processor (containerd, runc, a shell
// and a client), so none is asked for often. The timeout is long: a node that has too much to do is not helped by
// processes that are begun, given up, and begun again, and to be late is no failure.
func probe(kind string, period, failures, timeout int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler: corev1.ProbeHandler{
			Exec: &corev1.ExecAction{Command: []string{"sh", configDir + "/health.sh", kind}},
		},
		PeriodSeconds:    period,
		TimeoutSeconds:   timeout,
		FailureThreshold: failures,
	}
}

func volumes(rha *v1alpha1.RedisHA) []corev1.Volume {
	readable := ptr.To[int32](0o444)
	all := []corev1.Volume{
		{Name: configVolume, VolumeSource: corev1.VolumeSource{ConfigMap: &corev1.ConfigMapVolumeSource{
			LocalObjectReference: corev1.LocalObjectReference{Name: ConfigMapName(rha.Name)}, DefaultMode: readable,
		}}},
		{Name: authVolume, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
			SecretName: MountSecretName(rha.Name), DefaultMode: readable,
		}}},
		{Name: tmpVolume, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
	}
	if rha.Spec.Storage == nil {
		all = append(all, corev1.Volume{
			Name: dataVolume, VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}},
		})
	}
	return all
}

func defaultPodSecurity() *corev1.PodSecurityContext {
	return &corev1.PodSecurityContext{
		RunAsNonRoot:        ptr.To(true),
		RunAsUser:           ptr.To(redisUser),
		RunAsGroup:          ptr.To(redisUser),
		FSGroup:             ptr.To(redisUser),
		FSGroupChangePolicy: ptr.To(corev1.FSGroupChangeOnRootMismatch),
		SeccompProfile:      &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}

func defaultContainerSecurity() *corev1.SecurityContext {
	return &corev1.SecurityContext{
		AllowPrivilegeEscalation: ptr.To(false),
		ReadOnlyRootFilesystem:   ptr.To(true),
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
}

func defaultAffinity(name string) *corev1.Affinity {
	return &corev1.Affinity{PodAntiAffinity: &corev1.PodAntiAffinity{
		PreferredDuringSchedulingIgnoredDuringExecution: []corev1.WeightedPodAffinityTerm{{
			Weight: 100,
			PodAffinityTerm: corev1.PodAffinityTerm{
				TopologyKey:   corev1.LabelHostname,
				LabelSelector: &metav1.LabelSelector{MatchLabels: SelectorLabels(name)},
			},
		}},
	}}
}

func defaultSpread(name string) []corev1.TopologySpreadConstraint {
	return []corev1.TopologySpreadConstraint{{
		MaxSkew:           1,
		TopologyKey:       corev1.LabelTopologyZone,
		WhenUnsatisfiable: corev1.ScheduleAnyway,
		LabelSelector:     &metav1.LabelSelector{MatchLabels: SelectorLabels(name)},
	}}
}
