// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	storagelisters "k8s.io/client-go/listers/storage/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/utils/ptr"
)

const (
	provisionedBy = "pv.kubernetes.io/provisioned-by"
	selectedNode  = "volume.kubernetes.io/selected-node"
)

// provisioner makes a file system and a PersistentVolume for every claim of a class of its own whose pod has a node,
// grows them when the claim grows, and removes both when the claim is gone and the volume's policy says Delete. Binding
// is the controller manager's. Each volume is a tmpfs of the size that was asked for, so that it can be full.
type provisioner struct {
	client  kubernetes.Interface
	log     *slog.Logger
	claims  corelisters.PersistentVolumeClaimLister
	volumes corelisters.PersistentVolumeLister
	classes storagelisters.StorageClassLister
	dir     string
	wake    chan struct{}
}

func newProvisioner(
	client kubernetes.Interface, log *slog.Logger, factory informers.SharedInformerFactory, dir string,
) *provisioner {
	claims, volumes := factory.Core().V1().PersistentVolumeClaims(), factory.Core().V1().PersistentVolumes()
	classes := factory.Storage().V1().StorageClasses()
	p := &provisioner{
		client:  client,
		log:     log,
		claims:  claims.Lister(),
		volumes: volumes.Lister(),
		classes: classes.Lister(),
		dir:     dir,
		wake:    make(chan struct{}, 1),
	}
	for _, informer := range []cache.SharedIndexInformer{claims.Informer(), volumes.Informer(), classes.Informer()} {
		_, _ = informer.AddEventHandler(wakeOn(p.wake))
	}
	return p
}

// wakeOn makes a handler that says only that something changed.
func wakeOn(wake chan struct{}) cache.ResourceEventHandler {
	return cache.ResourceEventHandlerFuncs{
		AddFunc:    func(any) { notify(wake) },
		UpdateFunc: func(_, _ any) { notify(wake) },
		DeleteFunc: func(any) { notify(wake) },
	}
}

func (p *provisioner) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			p.unmountAll()
			return
		case <-p.wake:
			if err := p.reconcile(ctx); err != nil {
				p.log.Warn("provision", "error", err)
				time.AfterFunc(200*time.Millisecond, func() { notify(p.wake) })
			}
		}
	}
}

func (p *provisioner) reconcile(ctx context.Context) error {
	ctx, cancel := requestContext(ctx)
	defer cancel()
	claims, err := p.claims.List(labels.Everything())
	if err != nil {
		return err
	}
	var errs []error
	for _, claim := range claims {
		class, err := p.classes.Get(ptr.Deref(claim.Spec.StorageClassName, ""))
		if err != nil || class.Provisioner != provisionerName {
			continue
		}
		if claim.Spec.VolumeName == "" {
			if claim.Annotations[selectedNode] == "" {
				continue // the scheduler names the node once a pod uses the claim
			}
			errs = append(errs, p.provision(ctx, claim, ptr.Deref(class.ReclaimPolicy, corev1.PersistentVolumeReclaimDelete)))
		} else if claim.Status.Phase == corev1.ClaimBound {
			errs = append(errs, p.grow(ctx, claim))
		}
	}
	return errors.Join(append(errs, p.removeReleased(ctx))...)
}

func (p *provisioner) removeReleased(ctx context.Context) error {
	volumes, err := p.volumes.List(labels.Everything())
	if err != nil {
		return err
	}
	var errs []error
	for _, volume := range volumes {
		if volume.Annotations[provisionedBy] == provisionerName && volume.Status.Phase == corev1.VolumeReleased &&
			volume.Spec.PersistentVolumeReclaimPolicy == corev1.PersistentVolumeReclaimDelete {
			errs = append(errs, p.remove(ctx, volume))
		}
	}
	return errors.Join(errs...)
}

func (p *provisioner) provision(
	ctx context.Context, claim *corev1.PersistentVolumeClaim, policy corev1.PersistentVolumeReclaimPolicy,
) error {
	name := "pvc-" + string(claim.UID)
	path := filepath.Join(p.dir, name)
	if err := mountVolume(path, claim.Spec.Resources.Requests[corev1.ResourceStorage]); err != nil {
		return err
	}
	volume := &corev1.PersistentVolume{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{provisionedBy: provisionerName}},
		Spec: corev1.PersistentVolumeSpec{
			Capacity: corev1.ResourceList{
				corev1.ResourceStorage: claim.Spec.Resources.Requests[corev1.ResourceStorage],
			},
			AccessModes:            claim.Spec.AccessModes,
			StorageClassName:       ptr.Deref(claim.Spec.StorageClassName, ""),
			VolumeMode:             claim.Spec.VolumeMode,
			PersistentVolumeSource: corev1.PersistentVolumeSource{HostPath: &corev1.HostPathVolumeSource{Path: path}},
			ClaimRef: &corev1.ObjectReference{
				Kind: "PersistentVolumeClaim", APIVersion: "v1", Namespace: claim.Namespace, Name: claim.Name, UID: claim.UID,
			},
			PersistentVolumeReclaimPolicy: policy,
		},
	}
	_, err := p.client.CoreV1().PersistentVolumes().Create(ctx, volume, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// mountVolume mounts a volume, or gives a mounted one another size. Memory is used only as it is written to.
func mountVolume(path string, size resource.Quantity) error {
	if err := os.MkdirAll(path, 0o777); err != nil {
		return err
	}
	flags := uintptr(unix.MS_NOSUID | unix.MS_NODEV)
	if mounted, err := isMounted(path); err != nil {
		return err
	} else if mounted {
		flags |= unix.MS_REMOUNT
	}
	if err := unix.Mount("tmpfs", path, "tmpfs", flags, fmt.Sprintf("mode=0777,size=%d", size.Value())); err != nil {
		return fmt.Errorf("mount volume: %w", err)
	}
	return nil
}

// isMounted reports whether the folder is another file system than the folder it is in.
func isMounted(path string) (bool, error) {
	var own, parent unix.Stat_t
	if err := unix.Stat(path, &own); err != nil {
		return false, err
	}
	if err := unix.Stat(filepath.Dir(path), &parent); err != nil {
		return false, err
	}
	return own.Dev != parent.Dev, nil
}

func (p *provisioner) unmountAll() {
	folders, _ := filepath.Glob(filepath.Join(p.dir, "*"))
	for _, folder := range folders {
		_ = unix.Unmount(folder, unix.MNT_DETACH)
	}
}

// grow gives a claim the size it asks for, as an external resizer would.
func (p *provisioner) grow(ctx context.Context, claim *corev1.PersistentVolumeClaim) error {
	wanted := claim.Spec.Resources.Requests[corev1.ResourceStorage]
	if has := claim.Status.Capacity[corev1.ResourceStorage]; has.Cmp(wanted) >= 0 {
		return nil
	}
	volume, err := p.volumes.Get(claim.Spec.VolumeName)
	if err != nil {
		return err
	}
	if err := mountVolume(volume.Spec.HostPath.Path, wanted); err != nil {
		return err
	}
	volume = volume.DeepCopy()
	volume.Spec.Capacity[corev1.ResourceStorage] = wanted
	if _, err := p.client.CoreV1().PersistentVolumes().Update(ctx, volume, metav1.UpdateOptions{}); err != nil {
		return err
	}
	claim = claim.DeepCopy()
	claim.Status.Capacity[corev1.ResourceStorage] = wanted
	_, err = p.client.CoreV1().PersistentVolumeClaims(claim.Namespace).UpdateStatus(ctx, claim, metav1.UpdateOptions{})
	return err
}

func (p *provisioner) remove(ctx context.Context, volume *corev1.PersistentVolume) error {
	_ = unix.Unmount(volume.Spec.HostPath.Path, unix.MNT_DETACH)
	if err := os.RemoveAll(volume.Spec.HostPath.Path); err != nil {
		return err
	}
	err := p.client.CoreV1().
		PersistentVolumes().
		Delete(ctx, volume.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &volume.UID}})
	if err != nil && !isGone(err) {
		return err
	}
	return nil
}
