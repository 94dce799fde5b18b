// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/ptr"
)

// environment resolves a container's variables, in the order in which they may refer to each other.
func (w *worker) environment(c *corev1.Container) ([]string, error) {
	values := map[string]string{
		"PATH": defaultPath, "HOSTNAME": w.key.Name, "HOME": "/root",
		"KUBERNETES_SERVICE_HOST": servicePrefix.Addr().Next().String(), "KUBERNETES_SERVICE_PORT": "443",
	}
	for _, source := range c.EnvFrom {
		if err := w.addSource(values, source); err != nil {
			return nil, err
		}
	}
	for _, variable := range c.Env {
		value := expand(variable.Value, func(name string) (string, bool) { v, ok := values[name]; return v, ok })
		if variable.ValueFrom != nil {
			resolved, ok, err := w.valueFrom(variable.ValueFrom)
			if err != nil {
				return nil, fmt.Errorf("variable %s: %w", variable.Name, err)
			}
			if !ok {
				continue
			}
			value = resolved
		}
		values[variable.Name] = value
	}
	environment := make([]string, 0, len(values))
	for name, value := range values {
		environment = append(environment, name+"="+value)
	}
	slices.Sort(environment)
	return environment, nil
}

func (w *worker) addSource(values map[string]string, source corev1.EnvFromSource) error {
	var data map[string][]byte
	var err error
	var optional *bool
	switch {
	case source.ConfigMapRef != nil:
		optional = source.ConfigMapRef.Optional
		data, err = w.r.configMapData(w.key.Namespace, source.ConfigMapRef.Name)
	case source.SecretRef != nil:
		optional = source.SecretRef.Optional
		data, err = w.r.secretData(w.key.Namespace, source.SecretRef.Name)
	}
	if err != nil && (!apierrors.IsNotFound(err) || !ptr.Deref(optional, false)) {
		return err
	}
	for key, value := range data {
		values[source.Prefix+key] = string(value)
	}
	return nil
}

// valueFrom returns false for an optional reference to something that is not there.
func (w *worker) valueFrom(source *corev1.EnvVarSource) (string, bool, error) {
	switch {
	case source.SecretKeyRef != nil:
		data, err := w.r.secretData(w.key.Namespace, source.SecretKeyRef.Name)
		return pick(data, err, source.SecretKeyRef.Key, source.SecretKeyRef.Optional)
	case source.ConfigMapKeyRef != nil:
		data, err := w.r.configMapData(w.key.Namespace, source.ConfigMapKeyRef.Name)
		return pick(data, err, source.ConfigMapKeyRef.Key, source.ConfigMapKeyRef.Optional)
	case source.FieldRef != nil:
		value, err := w.field(source.FieldRef.FieldPath)
		return value, true, err
	}
	return "", false, fmt.Errorf("the sandbox resolves secretKeyRef, configMapKeyRef and fieldRef only")
}

func pick(data map[string][]byte, err error, key string, optional *bool) (string, bool, error) {
	value, ok := data[key]
	switch {
	case ok:
		return string(value), true, nil
	case ptr.Deref(optional, false) && (err == nil || apierrors.IsNotFound(err)):
		return "", false, nil
	case err != nil:
		return "", false, err
	}
	return "", false, fmt.Errorf("couldn't find key %s", key)
}

// field resolves the downward API's field paths.
func (w *worker) field(path string) (string, error) {
	pod := w.latest()
	addr := w.addr()
	fields := map[string]string{
		"metadata.name": pod.Name, "metadata.namespace": pod.Namespace, "metadata.uid": string(pod.UID),
		"spec.nodeName": pod.Spec.NodeName, "spec.serviceAccountName": pod.Spec.ServiceAccountName,
		"status.podIP": addr, "status.podIPs": addr, "status.hostIP": w.r.hostIP(pod.Spec.NodeName),
	}
	if value, ok := fields[path]; ok {
		return value, nil
	}
	for prefix, all := range map[string]map[string]string{
		"metadata.labels": pod.Labels, "metadata.annotations": pod.Annotations,
	} {
		if path == prefix {
			lines := make([]string, 0, len(all))
			for name, value := range all {
				lines = append(lines, fmt.Sprintf("%s=%q", name, value))
			}
			slices.Sort(lines)
			return strings.Join(lines, "\n"), nil
		}
		if name, ok := strings.CutPrefix(path, prefix+"['"); ok {
			return all[strings.TrimSuffix(name, "']")], nil
		}
	}
	return "", fmt.Errorf("unsupported fieldPath: %s", path)
}
