// SPDX-License-Identifier: Apache-2.0

package resources_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/accounts"
	"github.com/redisha/redisha/controllers/encryption"
	"github.com/redisha/redisha/controllers/passwords"
	"github.com/redisha/redisha/controllers/resources"
)

var update = flag.Bool("update", false, "write the golden files anew")

func minimal() *v1alpha1.RedisHA {
	return &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{Name: "shop", Namespace: "store"}}
}

func full() *v1alpha1.RedisHA {
	rha := minimal()
	rha.UID = "0123"
	rha.Spec = v1alpha1.RedisHASpec{
		Replicas:         ptr.To[int32](5),
		Image:            "registry.example/valkey:8.1",
		ImagePullPolicy:  corev1.PullAlways,
		ImagePullSecrets: []corev1.LocalObjectReference{{Name: "pull"}},
		Resources: corev1.ResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("1Gi")},
			Limits:   corev1.ResourceList{corev1.ResourceMemory: resource.MustParse("2Gi")},
		},
		Storage: &v1alpha1.StorageSpec{
			Size:             resource.MustParse("20Gi"),
			StorageClassName: ptr.To("fast"),
			Retention:        v1alpha1.StorageRetention{WhenDeleted: v1alpha1.RetentionDelete},
		},
		Config: map[string]v1alpha1.ConfigValue{
			"maxmemory":        "1gb",
			"maxmemory-policy": "allkeys-lru",
			"save":             "900 1 60 1000",
		},
		Modules: []v1alpha1.ModuleSpec{
			{Path: "/modules/search.so", Args: []v1alpha1.ModuleArg{"MAXEXPANSIONS", "200"}},
			{Path: "/modules/bloom.so"},
		},
		Services: v1alpha1.ServicesSpec{
			Master: v1alpha1.ServiceSpec{
				Type:                     corev1.ServiceTypeLoadBalancer,
				Annotations:              map[string]string{"lb.example/internal": "true"},
				Labels:                   map[string]v1alpha1.LabelValue{"exposed": "yes"},
				LoadBalancerClass:        ptr.To("lb.example/private"),
				LoadBalancerSourceRanges: []v1alpha1.CIDR{"10.0.0.0/8"},
				ExternalTrafficPolicy:    corev1.ServiceExternalTrafficPolicyLocal,
			},
			Replicas: v1alpha1.ServiceSpec{Annotations: map[string]string{"dns.example/name": "replicas"}},
		},
		PodTemplate: &v1alpha1.PodTemplateSpec{
			Labels:            map[string]v1alpha1.LabelValue{"team": "shop", v1alpha1.LabelName: "not-this"},
			Annotations:       map[string]string{"scrape": "yes"},
			NodeSelector:      map[string]v1alpha1.LabelValue{"disk": "ssd"},
			Tolerations:       []corev1.Toleration{{Key: "redis", Operator: corev1.TolerationOpExists}},
			PriorityClassName: "high",
			RuntimeClassName:  ptr.To("kata"),
			DNSConfig:         &corev1.PodDNSConfig{Searches: []string{"shop.example"}},
			Env:               []corev1.EnvVar{{Name: "TZ", Value: "UTC"}},
			InitContainers:    []corev1.Container{{Name: "modules", Image: "registry.example/modules:1"}},

			TerminationGracePeriodSeconds: ptr.To[int64](60),
			ExtraContainers:               []corev1.Container{{Name: "exporter", Image: "registry.example/exporter:1"}},
			ExtraVolumes: []corev1.Volume{{Name: "modules", VolumeSource: corev1.VolumeSource{
				EmptyDir: &corev1.EmptyDirVolumeSource{},
			}}},
			ExtraVolumeMounts: []corev1.VolumeMount{{Name: "modules", MountPath: "/modules"}},
		},
		PodDisruptionBudget: v1alpha1.PodDisruptionBudgetSpec{MaxUnavailable: ptr.To(intstr.FromInt32(2))},
	}
	return rha
}

// runnable is full, without the modules, whose files are on no test machine.
func runnable() *v1alpha1.RedisHA {
	rha := full()
	rha.Spec.Modules = nil
	return rha
}

// TestOwnedObjectsAreAsTheGoldenFilesShow holds every byte that is applied; a
// change of a golden file is a rollout or a rewrite for everybody who upgrades.
func TestOwnedObjectsAreAsTheGoldenFilesShow(t *testing.T) {
	for set, rha := range map[string]*v1alpha1.RedisHA{"minimal": minimal(), "full": full()} {
		objects := map[string]client.Object{
			"statefulset":      resources.StatefulSet(rha, resources.Replicas(rha)),
			"headless-service": resources.HeadlessService(rha, encryption.State{}),
			"master-service":   resources.MasterService(rha, encryption.State{}),
			"replicas-service": resources.ReplicasService(rha, encryption.State{}),
			"configmap":        resources.ConfigMap(rha),
			"users-secret": resources.UsersSecret(rha, accounts.State{
				System: passwords.State{Current: "made by the operator"}, Rules: []string{"+config|get"},
				Users: []accounts.User{{Name: "one", Rules: []string{"+get"}, Password: passwords.State{Current: "p"}}},
			}),
			"generated-secret": resources.GeneratedSecret(rha, "s3cret"),
			"mount-secret": resources.MountSecret(
				rha,
				accounts.State{
					Default: passwords.State{Current: `with "quotes" and \`},
					System:  passwords.State{Current: "made by the operator"}, Restricted: true,
				},
				encryption.State{},
				encryption.State{},
			),
			"pdb": resources.PodDisruptionBudget(rha),
		}
		for kind, object := range objects {
			t.Run(set+"/"+kind, func(t *testing.T) {
				got, err := yaml.Marshal(object)
				if err != nil {
					t.Fatal(err)
				}
				checkGolden(t, filepath.Join("testdata", set, kind+".yaml"), got)
			})
		}
	}
}

func checkGolden(t *testing.T, file string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; run go test ./controllers/resources -update and review the diff", err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs (-want +got); if intended, run go test ./controllers/resources -update:\n%s", file, diff)
	}
}

func TestASinglePodHasNoDisruptionBudget(t *testing.T) {
	rha := minimal()
	rha.Spec.Replicas = ptr.To[int32](1)
	if pdb := resources.PodDisruptionBudget(rha); pdb != nil {
		t.Errorf("a budget for a single pod would only block drains, got %v", pdb.Spec)
	}
	rha = minimal()
	rha.Spec.PodDisruptionBudget.Mode = v1alpha1.BudgetDisabled
	if pdb := resources.PodDisruptionBudget(rha); pdb != nil {
		t.Errorf("a disabled budget was built: %v", pdb.Spec)
	}
}

func TestOrdinalReadsOnlyPodsOfThatName(t *testing.T) {
	for pod, want := range map[string]int{"shop-0": 0, "shop-11": 11, "shop-x": -1, "shop": -1, "shop-eu-1": -1, "other-1": -1} {
		got, ok := resources.Ordinal("shop", pod)
		if !ok {
			got = -1
		}
		if got != want {
			t.Errorf("Ordinal(shop, %s) = %d, want %d", pod, got, want)
		}
	}
}
