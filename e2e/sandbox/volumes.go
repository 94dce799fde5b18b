// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
)

// volumePath returns where a volume's content is on the machine.
func (w *worker) volumePath(v *corev1.Volume) (string, error) {
	if v.PersistentVolumeClaim != nil {
		return w.claimPath(v.PersistentVolumeClaim.ClaimName)
	}
	if v.HostPath != nil {
		return v.HostPath.Path, nil
	}
	return filepath.Join(w.dir(), "volumes", v.Name), nil
}

func (w *worker) claimPath(name string) (string, error) {
	claim, err := w.r.claims.PersistentVolumeClaims(w.key.Namespace).Get(name)
	if err != nil {
		return "", err
	}
	if claim.Status.Phase != corev1.ClaimBound {
		return "", fmt.Errorf("claim %s is not bound", name)
	}
	volume, err := w.r.volumes.Get(claim.Spec.VolumeName)
	if err != nil {
		return "", err
	}
	if volume.Spec.HostPath == nil {
		return "", fmt.Errorf("volume %s is none of the sandbox's", volume.Name)
	}
	return volume.Spec.HostPath.Path, nil
}

// mountAll materialises every volume. It fails as long as something that a volume needs does not exist.
func (w *worker) mountAll(ctx context.Context) error {
	var errs []error
	for _, v := range w.latest().Spec.Volumes {
		if err := w.materialise(ctx, &v); err != nil {
			errs = append(errs, fmt.Errorf("volume %s: %w", v.Name, err))
		}
	}
	return errors.Join(errs...)
}

// refreshVolumes brings changes of ConfigMaps and Secrets into the volumes of a running pod.
func (w *worker) refreshVolumes(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.volumes:
			_ = w.mountAll(ctx) // a deleted ConfigMap leaves the old content, as in a kubelet
		}
	}
}

func (w *worker) materialise(ctx context.Context, v *corev1.Volume) error {
	path, err := w.volumePath(v)
	if err != nil {
		return err
	}
	if v.PersistentVolumeClaim != nil || v.HostPath != nil {
		return nil
	}
	if err := os.MkdirAll(path, 0o777); err != nil {
		return err
	}
	if v.EmptyDir != nil {
		return nil
	}
	files := volumeFiles{}
	if err := w.addSources(ctx, files, v); err != nil {
		return err
	}
	return files.write(path)
}

// addSources collects the content of a volume that is made from API objects.
func (w *worker) addSources(ctx context.Context, files volumeFiles, v *corev1.Volume) error {
	switch {
	case v.ConfigMap != nil:
		return w.addConfigMap(files, v.ConfigMap.Name, v.ConfigMap.Items, v.ConfigMap.DefaultMode, v.ConfigMap.Optional)
	case v.Secret != nil:
		return w.addSecret(files, v.Secret.SecretName, v.Secret.Items, v.Secret.DefaultMode, v.Secret.Optional)
	case v.DownwardAPI != nil:
		return w.addFields(files, v.DownwardAPI.Items, v.DownwardAPI.DefaultMode)
	case v.Projected != nil:
		for _, source := range v.Projected.Sources {
			if err := w.addProjection(ctx, files, source, v.Projected.DefaultMode); err != nil {
				return err
			}
		}
		return nil
	}
	return errors.New("a kind of volume that the sandbox does not have")
}

func (w *worker) addProjection(
	ctx context.Context, files volumeFiles, source corev1.VolumeProjection, mode *int32,
) error {
	switch {
	case source.ConfigMap != nil:
		return w.addConfigMap(files, source.ConfigMap.Name, source.ConfigMap.Items, mode, source.ConfigMap.Optional)
	case source.Secret != nil:
		return w.addSecret(files, source.Secret.Name, source.Secret.Items, mode, source.Secret.Optional)
	case source.DownwardAPI != nil:
		return w.addFields(files, source.DownwardAPI.Items, mode)
	case source.ServiceAccountToken != nil:
		return w.addToken(ctx, files, source.ServiceAccountToken, mode)
	}
	return errors.New("a kind of projection that the sandbox does not have")
}

func (w *worker) addConfigMap(
	files volumeFiles, name string, items []corev1.KeyToPath, mode *int32, optional *bool,
) error {
	data, err := w.r.configMapData(w.key.Namespace, name)
	return files.add(data, err, items, mode, optional)
}

func (w *worker) addSecret(
	files volumeFiles, name string, items []corev1.KeyToPath, mode *int32, optional *bool,
) error {
	data, err := w.r.secretData(w.key.Namespace, name)
	return files.add(data, err, items, mode, optional)
}

func (w *worker) addFields(files volumeFiles, items []corev1.DownwardAPIVolumeFile, mode *int32) error {
	for _, item := range items {
		if item.FieldRef == nil {
			return fmt.Errorf("%s: the sandbox resolves fieldRef only", item.Path)
		}
		value, err := w.field(item.FieldRef.FieldPath)
		if err != nil {
			return err
		}
		files[item.Path] = volumeFile{[]byte(value), fileMode(item.Mode, mode)}
	}
	return nil
}

// addToken asks for a token of the pod's ServiceAccount. It is good for the sandbox's life, so it is asked for once.
func (w *worker) addToken(
	ctx context.Context, files volumeFiles, source *corev1.ServiceAccountTokenProjection, mode *int32,
) error {
	cached := filepath.Join(w.dir(), "token")
	token, err := os.ReadFile(cached)
	if err != nil {
		ctx, cancel := requestContext(ctx)
		defer cancel()
		request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
			ExpirationSeconds: ptr.To(int64(24 * 60 * 60)),
			BoundObjectRef: &authenticationv1.BoundObjectReference{
				Kind:       "Pod",
				APIVersion: "v1",
				Name:       w.key.Name,
				UID:        w.uid,
			},
		}}
		if source.Audience != "" {
			request.Spec.Audiences = []string{source.Audience}
		}
		response, err := w.r.client.CoreV1().
			ServiceAccounts(w.key.Namespace).
			CreateToken(ctx, w.latest().Spec.ServiceAccountName, request, metav1.CreateOptions{})
		if err != nil {
			return err
		}
		token = []byte(response.Status.Token)
		if err := os.WriteFile(cached, token, 0o600); err != nil {
			return err
		}
	}
	files[source.Path] = volumeFile{token, fileMode(nil, mode)}
	return nil
}

func fileMode(own, volume *int32) fs.FileMode {
	return fs.FileMode(ptr.Deref(own, ptr.Deref(volume, 0o644))) & fs.ModePerm
}
