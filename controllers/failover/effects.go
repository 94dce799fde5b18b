// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/encryption"
	"github.com/redisha/redisha/controllers/memory"
	"github.com/redisha/redisha/controllers/requests"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/failover"
)

// sliceManager marks the EndpointSlice as ours, so that no other controller takes it for its own.
const sliceManager = "redisha.io"

// hungPodGraceSeconds is the grace a hung master is deleted with: long enough not to be a forced
// deletion (which proves nothing), short because a hung process answers no SIGTERM.
const hungPodGraceSeconds = 1

// kubeEffects makes the failover's changes to Kubernetes objects; executor.Cluster is its interface.
type kubeEffects struct {
	client client.Client
	reader client.Reader // uncached
	slices memory.Written[*discoveryv1.EndpointSlice]
	pods   memory.Written[*corev1.Pod]
	// statuses are the reconciler's: a RedisHA without the request is what it decides on next.
	statuses *memory.Written[*v1alpha1.RedisHA]
	// encryption is how far the processes of a RedisHA are; clear when nil.
	encryption func(client.ObjectKey) encryption.State
}

// ports are those that the master's EndpointSlice is to have.
func (c *kubeEffects) ports(key client.ObjectKey) []discoveryv1.EndpointPort {
	if c.encryption == nil {
		return resources.MasterPorts(encryption.State{})
	}
	return resources.MasterPorts(c.encryption(key))
}

// errPublishedLater means that the status which the decision was made on is older than what is published.
var errPublishedLater = errors.New("the status is older than what is published")

func objectKey(key string) client.ObjectKey {
	namespace, name, _ := strings.Cut(key, "/")
	return client.ObjectKey{Namespace: namespace, Name: name}
}

func sliceKey(key client.ObjectKey) client.ObjectKey {
	return client.ObjectKey{Namespace: key.Namespace, Name: resources.MasterServiceName(key.Name)}
}

// masterSlice reads the EndpointSlice of the master Service, no older than what we wrote.
func (c *kubeEffects) masterSlice(ctx context.Context, key client.ObjectKey) (*discoveryv1.EndpointSlice, bool, error) {
	cached := &discoveryv1.EndpointSlice{}
	err := c.client.Get(ctx, sliceKey(key), cached)
	if client.IgnoreNotFound(err) != nil {
		return nil, false, fmt.Errorf("reading the master's EndpointSlice: %w", err)
	}
	slice, found := c.slices.Newest(sliceKey(key), cached, err == nil)
	return slice, found, nil
}

// readSlice reads the EndpointSlice past the cache; masterSlice gives no older one from then on.
func (c *kubeEffects) readSlice(ctx context.Context, key client.ObjectKey) error {
	live := &discoveryv1.EndpointSlice{}
	err := c.reader.Get(ctx, sliceKey(key), live)
	switch {
	case apierrors.IsNotFound(err):
		c.slices.Forget(sliceKey(key))
	case err != nil:
		return fmt.Errorf("reading the master's EndpointSlice past the cache: %w", err)
	default:
		c.slices.Wrote(live)
	}
	return nil
}

// publishedIn reads where the slice leads. A slice with other ports than those leads nowhere.
func publishedIn(slice *discoveryv1.EndpointSlice, ports []discoveryv1.EndpointPort) failover.Published {
	epoch, err := strconv.ParseInt(slice.Annotations[v1alpha1.AnnotationEpoch], 10, 64)
	if err != nil {
		return failover.Published{} // it was edited: it leads nowhere we know of
	}
	p := failover.Published{Epoch: epoch}
	if len(slice.Endpoints) != 1 || len(slice.Endpoints[0].Addresses) != 1 || !wellFormed(slice, ports) {
		return p
	}
	e := slice.Endpoints[0]
	p.IP = e.Addresses[0]
	if e.TargetRef != nil {
		p.Pod, p.UID = e.TargetRef.Name, string(e.TargetRef.UID)
	}
	return p
}

// wellFormed reports whether the parts of the slice that lead clients are as we write them.
func wellFormed(slice *discoveryv1.EndpointSlice, ports []discoveryv1.EndpointPort) bool {
	ready := slice.Endpoints[0].Conditions.Ready
	same := slices.EqualFunc(slice.Ports, ports, func(a, b discoveryv1.EndpointPort) bool {
		return ptr.Deref(a.Port, 0) == ptr.Deref(b.Port, 0) && ptr.Deref(a.Name, "") == ptr.Deref(b.Name, "")
	})
	return slice.Labels[discoveryv1.LabelServiceName] == slice.Name && same && ptr.Deref(ready, true)
}

// Publish makes the master Service lead to a node, in one write.
func (c *kubeEffects) Publish(ctx context.Context, key string, a failover.Publish) error {
	return c.writeSlice(ctx, objectKey(key), a.Epoch, []discoveryv1.Endpoint{{
		Addresses:  []string{a.Node.IP},
		NodeName:   c.machineOf(ctx, objectKey(key).Namespace, a.Node),
		Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true), Serving: ptr.To(true), Terminating: ptr.To(false)},
		TargetRef: &corev1.ObjectReference{
			Kind: "Pod", Namespace: objectKey(key).Namespace, Name: a.Node.Pod, UID: types.UID(a.Node.UID),
		},
	}})
}

// machineOf is the Kubernetes node under a pod, without which externalTrafficPolicy Local knows no endpoint as local;
// nil when the cache does not tell.
func (c *kubeEffects) machineOf(ctx context.Context, namespace string, node failover.NodeRef) *string {
	pod := &corev1.Pod{}
	err := c.client.Get(ctx, client.ObjectKey{Namespace: namespace, Name: node.Pod}, pod, client.UnsafeDisableDeepCopy)
	if err != nil || string(pod.UID) != node.UID || pod.Spec.NodeName == "" {
		return nil
	}
	return ptr.To(pod.Spec.NodeName)
}

// Withdraw makes the master Service lead nowhere.
func (c *kubeEffects) Withdraw(ctx context.Context, key string, a failover.Withdraw) error {
	return c.writeSlice(ctx, objectKey(key), a.Epoch, nil)
}

// writeSlice writes the slice, unless a later epoch has written it already.
func (c *kubeEffects) writeSlice(
	ctx context.Context, key client.ObjectKey, epoch int64, endpoints []discoveryv1.Endpoint,
) error {
	live, found, err := c.masterSlice(ctx, key)
	if err != nil {
		return err
	}
	if found {
		if p := publishedIn(live, nil); p.Epoch > epoch {
			return fmt.Errorf("%w: epoch %d may not publish after epoch %d", errPublishedLater, epoch, p.Epoch)
		}
	}
	rha := &v1alpha1.RedisHA{}
	if err := c.client.Get(ctx, key, rha); err != nil {
		return fmt.Errorf("reading the owner of the slice: %w", err)
	}
	slice := newSlice(key, epoch, endpoints, c.ports(key))
	if err := controllerutil.SetControllerReference(rha, slice, c.client.Scheme()); err != nil {
		return fmt.Errorf("owning the slice: %w", err)
	}
	if found {
		err = c.updateSlice(ctx, live, slice)
	} else {
		err = c.createSlice(ctx, slice)
	}
	if err != nil {
		c.slices.Forget(sliceKey(key))
		return fmt.Errorf("writing the master's EndpointSlice: %w", err)
	}
	c.slices.Wrote(slice)
	return nil
}

// updateSlice replaces live by slice, if live is what is stored. The address family of a slice
// cannot be changed: another family takes another slice.
func (c *kubeEffects) updateSlice(ctx context.Context, live, slice *discoveryv1.EndpointSlice) error {
	if live.AddressType != slice.AddressType && len(slice.Endpoints) > 0 {
		err := c.client.Delete(ctx, live, client.Preconditions{ResourceVersion: &live.ResourceVersion})
		if client.IgnoreNotFound(err) != nil {
			return err
		}
		return c.createSlice(ctx, slice)
	}
	slice.AddressType = live.AddressType
	slice.ResourceVersion = live.ResourceVersion
	return c.client.Update(ctx, slice)
}

// createSlice creates the slice. One that exists and that the cache does not show (its labels were
// edited away) is taken over.
func (c *kubeEffects) createSlice(ctx context.Context, slice *discoveryv1.EndpointSlice) error {
	err := c.client.Create(ctx, slice)
	if !apierrors.IsAlreadyExists(err) {
		return err
	}
	live := &discoveryv1.EndpointSlice{}
	if err := c.reader.Get(ctx, client.ObjectKeyFromObject(slice), live); err != nil {
		return err
	}
	if owner := metav1.GetControllerOf(live); owner != nil && owner.UID != slice.OwnerReferences[0].UID {
		return fmt.Errorf("EndpointSlice %s belongs to %s %s; delete or rename it", live.Name, owner.Kind, owner.Name)
	}
	if ours, theirs := publishedIn(slice, nil).Epoch, publishedIn(live, nil).Epoch; theirs > ours {
		return fmt.Errorf("%w: epoch %d may not publish after epoch %d", errPublishedLater, ours, theirs)
	}
	slice.ResourceVersion = live.ResourceVersion
	return c.client.Update(ctx, slice)
}

func newSlice(
	key client.ObjectKey, epoch int64, endpoints []discoveryv1.Endpoint, ports []discoveryv1.EndpointPort,
) *discoveryv1.EndpointSlice {
	labels := resources.Labels(key.Name)
	labels[discoveryv1.LabelServiceName] = resources.MasterServiceName(key.Name)
	labels[discoveryv1.LabelManagedBy] = sliceManager
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: key.Namespace, Name: resources.MasterServiceName(key.Name), Labels: labels,
			Annotations: map[string]string{v1alpha1.AnnotationEpoch: strconv.FormatInt(epoch, 10)},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Endpoints:   endpoints,
		Ports:       ports,
	}
	if len(endpoints) > 0 {
		if ip := net.ParseIP(endpoints[0].Addresses[0]); ip != nil && ip.To4() == nil {
			slice.AddressType = discoveryv1.AddressTypeIPv6
		}
	}
	return slice
}

// Label writes a pod's role label, if the pod is still as it was seen: a write that was held up on its way must not
// arrive after another pod got the label.
func (c *kubeEffects) Label(ctx context.Context, key string, a failover.Label) error {
	podKey := client.ObjectKey{Namespace: objectKey(key).Namespace, Name: a.Node.Pod}
	cached := &corev1.Pod{}
	if err := c.client.Get(ctx, podKey, cached); err != nil {
		return fmt.Errorf("reading the pod to label: %w", err)
	}
	seen, _ := c.pods.Newest(podKey, cached, true)
	role := &a.Role
	if a.Role == failover.RoleUnknown {
		role = nil // removes the label
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
		"uid": a.Node.UID, "resourceVersion": seen.ResourceVersion, "labels": map[string]any{v1alpha1.LabelRole: role},
	}})
	if err != nil {
		return fmt.Errorf("building the label patch: %w", err)
	}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: podKey.Namespace, Name: podKey.Name}}
	err = c.client.Patch(ctx, pod, client.RawPatch(types.MergePatchType, patch))
	if apierrors.IsConflict(err) {
		c.lookAgain(ctx, podKey) // after an outage of the API server the cache may be half a minute behind
	}
	if err != nil {
		return fmt.Errorf("labelling %s: %w", a.Node.Pod, err)
	}
	c.pods.Wrote(pod)
	return nil
}

// lookAgain reads a pod past the cache, so that the next decision is made on what it is now.
func (c *kubeEffects) lookAgain(ctx context.Context, key client.ObjectKey) {
	live := &corev1.Pod{}
	if c.reader.Get(ctx, key, live) == nil {
		c.pods.Wrote(live)
	}
}

// DeletePod deletes a pod if it is still the same one, by a normal deletion: the kubelet must
// confirm that the process has ended before the object goes.
func (c *kubeEffects) DeletePod(ctx context.Context, key string, a failover.DeletePod) error {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: objectKey(key).Namespace, Name: a.Node.Pod}}
	uid := types.UID(a.Node.UID)
	err := c.client.Delete(ctx, pod, client.Preconditions{UID: &uid}, client.GracePeriodSeconds(hungPodGraceSeconds))
	if err != nil && !apierrors.IsNotFound(err) && !apierrors.IsConflict(err) {
		return fmt.Errorf("deleting the hung pod %s: %w", a.Node.Pod, err)
	}
	return nil
}

// AcknowledgeRequest removes the request annotation if it still carries that request, and remembers the RedisHA as it
// is then. Of a RedisHARequest there is nothing to remove: the status says that it is over.
func (c *kubeEffects) AcknowledgeRequest(ctx context.Context, key string, a failover.AcknowledgeRequest) error {
	if requests.IsObject(a.ID) {
		return nil
	}
	k := objectKey(key)
	rha := &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{Namespace: k.Namespace, Name: k.Name}}
	path := "/metadata/annotations/" + strings.ReplaceAll(v1alpha1.AnnotationRequest, "/", "~1")
	patch, err := json.Marshal([]map[string]any{
		{"op": "test", "path": path, "value": a.ID},
		{"op": "remove", "path": path},
	})
	if err != nil {
		return fmt.Errorf("building the acknowledgement: %w", err)
	}
	err = c.client.Patch(ctx, rha, client.RawPatch(types.JSONPatchType, patch))
	if apierrors.IsInvalid(err) { // it is gone, or another has taken its place
		err = c.reader.Get(ctx, k, rha)
	}
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("acknowledging request %q: %w", a.ID, err)
	}
	c.statuses.Wrote(rha)
	return nil
}
