// SPDX-License-Identifier: Apache-2.0

package resources

import (
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/redisha/redisha/api/v1alpha1"
)

// StatefulSet runs the Redis pods: started in parallel, because the operator and
// not the order says who is master, and replaced only when the operator deletes them.
// The caller says how many replicas, because a scale-down may have to wait. With none it retains the claims, whatever
// the spec says of scaling down: that of the last pod has the data.
func StatefulSet(rha *v1alpha1.RedisHA, replicas int32) *appsv1.StatefulSet {
	sts := &appsv1.StatefulSet{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "StatefulSet"},
		ObjectMeta: meta(rha, StatefulSetName(rha.Name)),
		Spec: appsv1.StatefulSetSpec{
			Replicas:             ptr.To(replicas),
			ServiceName:          HeadlessServiceName(rha.Name),
			PodManagementPolicy:  appsv1.ParallelPodManagement,
			UpdateStrategy:       appsv1.StatefulSetUpdateStrategy{Type: appsv1.OnDeleteStatefulSetStrategyType},
			RevisionHistoryLimit: ptr.To[int32](5),
			Selector:             &metav1.LabelSelector{MatchLabels: SelectorLabels(rha.Name)},
			Template:             podTemplate(rha),
		},
	}
	if storage := rha.Spec.Storage; storage != nil {
		sts.Spec.VolumeClaimTemplates = []corev1.PersistentVolumeClaim{claimTemplate(rha, storage)}
		sts.Spec.PersistentVolumeClaimRetentionPolicy = &appsv1.StatefulSetPersistentVolumeClaimRetentionPolicy{
			WhenDeleted: retention(storage.Retention.WhenDeleted),
			WhenScaled:  retention(storage.Retention.WhenScaled),
		}
		if replicas == 0 {
			sts.Spec.PersistentVolumeClaimRetentionPolicy.WhenScaled = appsv1.RetainPersistentVolumeClaimRetentionPolicyType
		}
	}
	return sts
}

func retention(policy v1alpha1.RetentionPolicy) appsv1.PersistentVolumeClaimRetentionPolicyType {
	if policy == v1alpha1.RetentionDelete {
		return appsv1.DeletePersistentVolumeClaimRetentionPolicyType
	}
	return appsv1.RetainPersistentVolumeClaimRetentionPolicyType
}

// claimTemplate says for which RedisHA a claim is made, so that one which a person or a backup tool has made is told
// from it, by whatever labels and at whatever time. The annotation is as immutable as the template. It does not say
// what kind it is, though the API server shows it (v1, PersistentVolumeClaim): protobuf, by which the operator reads,
// has no place for the kind of an object within another, and so it would be missing at every look.
func claimTemplate(rha *v1alpha1.RedisHA, storage *v1alpha1.StorageSpec) corev1.PersistentVolumeClaim {
	modes := storage.AccessModes
	if len(modes) == 0 {
		modes = []corev1.PersistentVolumeAccessMode{corev1.ReadWriteOnce}
	}
	return corev1.PersistentVolumeClaim{
		ObjectMeta: metav1.ObjectMeta{
			Name:        dataVolume,
			Labels:      claimLabels(rha.Name),
			Annotations: map[string]string{v1alpha1.AnnotationMadeFor: string(rha.UID)},
		},
		Spec: corev1.PersistentVolumeClaimSpec{
			AccessModes:      modes,
			StorageClassName: storage.StorageClassName,
			Resources: corev1.VolumeResourceRequirements{
				Requests: corev1.ResourceList{corev1.ResourceStorage: StorageSize(storage)},
			},
		},
	}
}

// StorageSize is the size of each claim; the default when the spec has none.
func StorageSize(storage *v1alpha1.StorageSpec) resource.Quantity {
	if storage.Size.IsZero() {
		return resource.MustParse(v1alpha1.DefaultStorageSize)
	}
	return storage.Size
}
