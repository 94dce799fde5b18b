// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
	. "github.com/onsi/gomega"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/redisha/redisha/e2e/cluster"
)

// right is a verb on a resource, with its subresource after a slash; in one namespace, or in all of them.
type right struct{ namespace, group, resource, verb string }

func (r right) String() string {
	text := r.verb + " " + r.resource
	if r.group != "" {
		text += "." + r.group
	}
	if r.namespace != "" {
		text += " in " + r.namespace
	}
	return text
}

// rare are the rights for what does not happen in every run of the core scenarios, and why they are granted all the
// same.
var rare = map[right]string{
	{"", "redisha.io", "redishas/finalizers", "update"}:           "asked for by the admission plugin OwnerReferencesPermissionEnforcement, where it is on",
	{"", "", "persistentvolumeclaims", "patch"}:                   "spec.storage.size has grown; the StorageClass here does not allow it",
	{"", "", "persistentvolumeclaims", "get"}:                     "a claim without our label lies there when a first master is chosen: a person has restored it",
	{"", "", "secrets", "delete"}:                                 "spec.auth names a Secret, and the generated one is not needed any more",
	{"", "policy", "poddisruptionbudgets", "delete"}:              "spec.podDisruptionBudget is turned off",
	{"", "discovery.k8s.io", "endpointslices", "get"}:             "the labels were edited away, so that the cache does not show it",
	{"", "discovery.k8s.io", "endpointslices", "delete"}:          "the pods' addresses are of the other family than before, which cannot be changed",
	{"", "", "pods", "get"}:                                       "the cache was behind when a pod was to be labelled",
	{"", "", "pods/resize", "patch"}:                              "the processor or memory of spec.resources is another",
	{"", "", "events", "patch"}:                                   "an Event repeats itself",
	{"", "", "events", "list"}:                                    "a pod has been missing for seconds: the StatefulSet's Events say why",
	{"redisha-system", "coordination.k8s.io", "leases", "create"}: "the operator is installed for the first time",
}

// why is the situation that a right is for which was not used. Who may watch something may list it: where the API server
// streams no lists, a cache is filled by one.
func why(r right, granted []right) (reason string, known bool) {
	if reason, known = rare[r]; !known && r.verb == "list" {
		watch := r
		watch.verb = "watch"
		return "the API server streams no lists", slices.Contains(granted, watch)
	}
	return reason, known
}

// installed is when the operator of this run was being installed, and which of its pods were there before.
var installed struct {
	at     time.Time
	former []string
}

// rememberFormer notes whose requests are not those of the operator that is about to be installed.
func rememberFormer(ctx context.Context) {
	GinkgoHelper()
	installed.at = time.Now()
	pods, err := env.operators(ctx)
	Expect(err).NotTo(HaveOccurred())
	for _, pod := range pods {
		installed.former = append(installed.former, string(pod.UID))
	}
}

// Every run is looked at for requests that were refused. Rights that were never used tell something only after all core
// scenarios.
var _ = ReportAfterSuite("The operator has the rights that it uses, and no others", func(report Report) {
	if installed.at.IsZero() {
		return // nothing was run
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	manifests, err := os.ReadFile(fromRoot(envInstaller, "dist/e2e-install.yaml"))
	Expect(err).NotTo(HaveOccurred())
	objects, err := decode(manifests)
	Expect(err).NotTo(HaveOccurred())
	granted, err := grantedTo(objects, deployment)
	Expect(err).NotTo(HaveOccurred())
	events, err := env.AuditEvents(ctx, installed.at)
	Expect(err).NotTo(HaveOccurred())
	events = slices.DeleteFunc(
		events,
		func(e cluster.AuditEvent) bool { return slices.Contains(installed.former, e.PodUID()) },
	)
	Expect(events).NotTo(BeEmpty(), "an operator that runs asks for something")

	Expect(refused(events)).To(BeEmpty(), "requests of the operator that were refused")
	var idle []right
	fmt.Printf("\nrights that were granted and not used in this run (of %d; %d requests):\n", len(granted), len(events))
	for _, r := range unused(granted, events) {
		reason, known := why(r, granted)
		if !known {
			idle = append(idle, r)
			reason = "?"
		}
		fmt.Printf("  %-60s %s\n", r, reason)
	}
	if passedAllCore(report) {
		Expect(idle).To(BeEmpty(), "rights that nothing uses")
	}
})

func passedAllCore(report Report) bool {
	core := 0
	for _, spec := range report.SpecReports {
		if !slices.Contains(spec.Labels(), "core") {
			continue
		}
		if spec.State != types.SpecStatePassed {
			return false
		}
		core++
	}
	return core > 0
}

// grantedTo are the rights that the manifests grant to the service account.
func grantedTo(manifests []*unstructured.Unstructured, account string) ([]right, error) {
	rules := map[string][]rbacv1.PolicyRule{}
	for _, object := range manifests {
		if kind := object.GetKind(); kind == "ClusterRole" || kind == "Role" {
			role := &rbacv1.ClusterRole{} // a Role has the same rules
			if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, role); err != nil {
				return nil, err
			}
			rules[kind+"/"+role.Name] = role.Rules
		}
	}
	var granted []right
	for _, object := range manifests {
		if kind := object.GetKind(); kind != "ClusterRoleBinding" && kind != "RoleBinding" {
			continue
		}
		binding := &rbacv1.RoleBinding{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, binding); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(
			binding.Subjects,
			func(s rbacv1.Subject) bool { return s.Kind == rbacv1.ServiceAccountKind && s.Name == account },
		) {
			for _, rule := range rules[binding.RoleRef.Kind+"/"+binding.RoleRef.Name] {
				granted = append(granted, rightsOf(rule, binding.Namespace)...)
			}
		}
	}
	return granted, nil
}

func rightsOf(rule rbacv1.PolicyRule, namespace string) []right {
	var rights []right
	for _, group := range rule.APIGroups {
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				rights = append(rights, right{namespace, group, resource, verb})
			}
		}
	}
	return rights
}

// unused are the rights that no request needed. What is granted in all namespaces is not needed again in one.
func unused(granted []right, events []cluster.AuditEvent) []right {
	used := map[right]bool{}
	for _, event := range events {
		for _, need := range needs(event) {
			everywhere := need
			everywhere.namespace = ""
			if slices.Contains(granted, everywhere) {
				need = everywhere
			}
			used[need] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(granted), func(r right) bool { return used[r] })
}

// needs are the rights that a request needs. One that applies an object which was not there needs another one: to
// create it.
func needs(e cluster.AuditEvent) []right {
	r := right{e.ObjectRef.Namespace, e.ObjectRef.APIGroup, e.ObjectRef.Resource, e.Verb}
	if r.resource == "" {
		return nil // discovery
	}
	if e.ObjectRef.Subresource != "" {
		r.resource += "/" + e.ObjectRef.Subresource
	}
	if r.verb != "patch" || e.ResponseStatus.Code != http.StatusCreated {
		return []right{r}
	}
	create := r
	create.verb = "create"
	return []right{r, create}
}

// refused are the requests that the operator had no right to. That a namespace which is being deleted takes nothing new
// is answered by the same status, and no operator's fault.
func refused(events []cluster.AuditEvent) []string {
	var all []string
	for _, e := range events {
		if e.ResponseStatus.Code != http.StatusForbidden ||
			strings.Contains(e.ResponseStatus.Message, "is being terminated") {
			continue
		}
		if text := fmt.Sprintf("%s %s: %s", e.Verb, e.URI, e.ResponseStatus.Message); !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	return all
}
