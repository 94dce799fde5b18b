// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/redisha/redisha/api/v1alpha1"
)

// owned are the kinds of which a RedisHA has objects of its own, all in its namespace.
func owned() []client.Object {
	return []client.Object{
		&corev1.Pod{}, &corev1.Secret{}, &corev1.ConfigMap{}, &corev1.Service{}, &corev1.PersistentVolumeClaim{},
		&appsv1.StatefulSet{}, &discoveryv1.EndpointSlice{}, &policyv1.PodDisruptionBudget{},
	}
}

// newMapper knows what the kinds that the operator works with are called in URLs. The mapper that a manager has
// otherwise asks the API server for it: an operator that is started while that does not answer would end, and the
// kubelet let it wait.
func newMapper(scheme *runtime.Scheme) (meta.RESTMapper, error) {
	mapper := meta.NewDefaultRESTMapper(nil)
	add := func(scope meta.RESTScope, kinds ...client.Object) error {
		for _, kind := range kinds {
			gvk, err := apiutil.GVKForObject(kind, scheme)
			if err != nil {
				return fmt.Errorf("finding the name of %T: %w", kind, err)
			}
			mapper.Add(gvk, scope)
		}
		return nil
	}
	if err := add(
		meta.RESTScopeNamespace,
		append(owned(), &v1alpha1.RedisHA{}, &v1alpha1.RedisHARequest{}, &corev1.Event{})...); err != nil {
		return nil, err
	}
	return mapper, add(meta.RESTScopeRoot, &corev1.Node{})
}
