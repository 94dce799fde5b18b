// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/conditions"
	"github.com/redisha/redisha/controllers/encryption"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/failover"
)

const (
	// mountedWithin is for how long a file that Redis cannot read counts as one that is not mounted yet.
	mountedWithin = 3 * time.Minute
	// expiresSoon is how long before its end a certificate is told of.
	expiresSoon = 7 * 24 * time.Hour
)

// encrypted is what is known of how far the processes are.
type encrypted struct {
	uid     types.UID        // of the RedisHA
	state   encryption.State // in force; should its Secret be deleted
	before  encryption.State // the last that every process had reached; one that starts may be about to read its files
	told    told
	waiting lasting
}

// readEncryption sets what is in force: what we wrote last, or else what the Secret says that pods mount. The cache may
// show the Secret as it was before.
func (w *pass) readEncryption(ctx context.Context) error {
	known := &w.known.encrypted
	if known.uid != w.rha.UID {
		mounted, err := w.ownSecret(ctx, resources.MountSecretName(w.rha.Name))
		if err != nil {
			return err
		}
		*known = encrypted{uid: w.rha.UID, state: encryption.In(mounted)}
	}
	w.encryption = known.state
	return nil
}

// nextEncryption is what is to be in force. A Secret that cannot be used is told at the end of the pass, and changes
// nothing.
func (w *pass) nextEncryption(ctx context.Context) (encryption.State, error) {
	goal, err := w.encryptionGoal(ctx)
	if err != nil {
		return w.encryption, err
	}
	next := w.encryption
	switch {
	case w.sts == nil && len(w.pods) == 0 && w.encryption.Live == nil:
		next = encryption.Begun(goal)
	case w.rha.Spec.Failover.Mode != v1alpha1.ModePaused:
		next = w.encryption.Next(goal, w.encryptionReached(), w.now())
	}
	w.known.encrypted.state = next
	w.untilEncrypted(goal, next)
	return next, nil
}

// untilEncrypted says what is waited for.
func (w *pass) untilEncrypted(goal encryption.Goal, next encryption.State) {
	if known := &w.known.encrypted; next.Generation() != w.encryption.Generation() {
		known.before, known.waiting = w.encryption, lasting{}
	} else if w.encryptionReached().Answering {
		known.before = next
	}
	if next.Live != nil || goal.Stage != v1alpha1.TLSStageClear {
		w.lookAgain(secretsEvery)
	}
	w.encrypting = goal.Stage != next.Stage && (next.Live != nil || goal.Material != nil) || next.Trial
}

func (w *pass) encryptionGoal(ctx context.Context) (encryption.Goal, error) {
	spec := w.rha.Spec.TLS
	if spec == nil {
		return encryption.Goal{Stage: v1alpha1.TLSStageClear}, nil
	}
	goal := encryption.Goal{
		Stage:       v1alpha1.TLSStageRequired,
		TrustFormer: time.Duration(ptr.Deref(spec.TrustFormerCASeconds, v1alpha1.DefaultTrustFormerCASeconds)) * time.Second,
	}
	if spec.Plaintext == v1alpha1.PlaintextAllowed {
		goal.Stage = v1alpha1.TLSStageUsed
	}
	data, name, err := w.certificate(ctx, spec)
	if err != nil {
		return goal, err
	}
	material, bad := encryption.Check(data, resources.NeededNames(w.rha), w.now())
	if bad != nil {
		err := refuse(v1alpha1.ReasonCertificateInvalid, "spec.tls: Secret %q %v", name, bad)
		if w.sts == nil && w.encryption.Live == nil {
			return goal, err // no process is to start in clear that is meant to be encrypted
		}
		return goal, w.putOff(err)
	}
	material.Clients = cmp.Or(spec.ClientCertificates, v1alpha1.ClientCertificatesNone)
	goal.Material = material
	return goal, nil
}

// certificate is the content of the Secret that the spec names, or of the one that the operator makes.
func (w *pass) certificate(ctx context.Context, spec *v1alpha1.TLSSpec) (map[string][]byte, string, error) {
	if spec.SecretRef == nil {
		name := resources.GeneratedTLSSecretName(w.rha.Name)
		had, err := w.ownSecret(ctx, name)
		if err != nil {
			return nil, name, err
		}
		data, err := encryption.Renewed(had, resources.NeededNames(w.rha), resources.GeneratedNames(w.rha), w.now())
		if err != nil {
			return nil, name, err
		}
		return data, name, w.putOff(w.applyAll(ctx, resources.GeneratedTLSSecret(w.rha, data)))
	}
	name := spec.SecretRef.Name
	secret := &corev1.Secret{}
	err := w.APIReader.Get(ctx, types.NamespacedName{Namespace: w.rha.Namespace, Name: name}, secret)
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, name, fmt.Errorf("reading Secret %q: %w", name, err)
	}
	return secret.Data, name, nil // one that is not there has nothing under any key
}

// encryptionReached is how far the processes are.
func (w *pass) encryptionReached() encryption.Reached {
	return encryption.Reached{
		Answering: w.known.encrypted.told.answering(w.runningNodes(), w.encryption.Generation()),
		All:       w.settled() && w.allLike(w.encryption),
	}
}

// allLike reports that there are as many processes as there are to be, and each is like a state.
func (w *pass) allLike(state encryption.State) bool {
	like := map[string]bool{} // by pod
	for _, node := range w.runningNodes() {
		like[node.Pod] = w.known.encrypted.told.has(node, state.Generation())
	}
	for ordinal := range int(w.wantedPods()) {
		if !like[resources.PodName(w.rha.Name, ordinal)] {
			return false
		}
	}
	return len(w.pods) == int(w.wantedPods())
}

// settled reports that no failover is in progress.
func (w *pass) settled() bool {
	f := w.rha.Status.Failover
	return f != nil && f.State == v1alpha1.StateStable
}

func (w *pass) wantedPods() int32 {
	if w.sts == nil {
		return resources.Replicas(w.rha)
	}
	return ptr.Deref(w.sts.Spec.Replicas, 1)
}

// runningNodes are the processes that have answered and whose pods are there.
func (w *pass) runningNodes() []failover.NodeRef {
	there := map[string]bool{}
	for i := range w.pods {
		there[string(w.pods[i].UID)] = w.pods[i].DeletionTimestamp.IsZero()
	}
	var nodes []failover.NodeRef
	for _, n := range w.rha.Status.Nodes {
		if there[n.PodUID] && n.RunID != "" {
			nodes = append(nodes, failover.NodeRef{Pod: n.Pod, UID: n.PodUID, RunID: n.RunID, IP: n.IP})
		}
	}
	return nodes
}

// encryptProcesses brings every process to the state in force. A process that is like it is not asked again.
func (w *pass) encryptProcesses(ctx context.Context) error {
	state := w.known.encrypted.state
	if w.Teller == nil || state.Live == nil || w.rha.Spec.Failover.Mode == v1alpha1.ModePaused {
		return nil
	}
	if err := w.putOff(w.wakeKubelets(ctx, state.Generation())); err != nil {
		return err
	}
	w.known.encrypted.told.tell(w.runningNodes(), state.Generation(), func(node failover.NodeRef) error {
		return w.Teller.Encrypt(
			ctx, client.ObjectKeyFromObject(w.rha).String(), node, resources.ProcessEncryption(state),
		)
	})
	return w.afterEncrypting(state)
}

// wakeKubelets has the kubelets of pods that have not taken a state look at them now. A kubelet updates what is mounted
// when it looks at a pod: once a minute, and when the pod changes.
func (w *pass) wakeKubelets(ctx context.Context, generation string) error {
	uids := map[string]bool{}
	for _, node := range w.runningNodes() {
		uids[node.UID] = !w.known.encrypted.told.has(node, generation)
	}
	for i := range w.pods {
		pod := &w.pods[i]
		if !uids[string(pod.UID)] || pod.Annotations[v1alpha1.AnnotationMounts] == generation {
			continue
		}
		if err := w.annotate(ctx, pod, map[string]string{v1alpha1.AnnotationMounts: generation}); err != nil {
			return err
		}
	}
	return nil
}

// annotate gives a pod annotations, at the API server and in what this pass knows of it. A pod that is gone needs none.
func (w *pass) annotate(ctx context.Context, pod *corev1.Pod, annotations map[string]string) error {
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"uid": pod.UID, "annotations": annotations},
	})
	if err != nil {
		return fmt.Errorf("annotating pod %q: %w", pod.Name, err)
	}
	patched := pod.DeepCopy()
	err = w.Client.Patch(ctx, patched, client.RawPatch(types.MergePatchType, patch))
	switch {
	case apierrors.IsNotFound(err), apierrors.IsConflict(err):
		return nil
	case err != nil:
		return fmt.Errorf("annotating pod %q: %w", pod.Name, err)
	}
	pod.Annotations = patched.Annotations
	return nil
}

// afterEncrypting says when to look again, and tells what Redis refuses.
func (w *pass) afterEncrypting(state encryption.State) error {
	var words []string
	final, waiting := false, false
	for _, node := range w.runningNodes() {
		t := w.known.encrypted.told[node.UID]
		if t.err == nil {
			continue
		}
		waiting = true
		if said := t.words(); said != "" {
			words = append(words, node.Pod+": "+said)
			final = final || strings.Contains(said, "Unknown option")
		}
	}
	if !waiting {
		w.known.encrypted.waiting = lasting{}
		if w.encrypting {
			w.lookAgain(tellsAgain / 3)
		}
		return nil
	}
	w.lookAgain(tellsAgain)
	if lasted := w.known.encrypted.waiting.lasted(w.now()); len(words) > 0 && (final || lasted > mountedWithin) {
		return w.putOff(refuse(v1alpha1.ReasonCertificateRefused,
			"spec.tls: Redis refuses what it is to encrypt with (%s): mend the certificate, or the image if its Redis has no "+
				"TLS; processes start as before", strings.Join(words, "; ")))
	}
	w.encryptionWaits = atStage(state) + ", waiting for every pod"
	return nil
}

// encryptionProgress is what people are told of a set whose pods are as the spec wants them.
func (w *pass) encryptionProgress(progress podProgress) podProgress {
	state := w.known.encrypted.state
	if progress.reason != v1alpha1.ReasonUpToDate || !w.encrypting && w.encryptionWaits == "" {
		return progress
	}
	return podProgress{v1alpha1.ReasonChangingEncryption, cmp.Or(w.encryptionWaits, atStage(state))}
}

func atStage(state encryption.State) string {
	return fmt.Sprintf("encryption: at stage %s", cmp.Or(state.Stage, v1alpha1.TLSStageClear))
}

// tlsStatus is how connections are encrypted; nil in clear.
func (w *pass) tlsStatus() (*v1alpha1.TLSStatus, *metav1.Condition) {
	state := w.known.encrypted.state
	if state.Live == nil {
		return nil, nil
	}
	status := &v1alpha1.TLSStatus{}
	switch before := w.rha.Status.TLS; {
	case !state.Trial && w.allLike(state):
		status.Stage = state.Stage
	case before != nil: // the stage that was reached last
		status.Stage = before.Stage
	}
	if !state.FormerUntil.IsZero() {
		status.FormerCATrustedUntil = ptr.To(metav1.NewTime(state.FormerUntil.Truncate(time.Second)))
	}
	leaf := state.Live.Leaf()
	if leaf == nil {
		return status, nil
	}
	status.NotAfter = ptr.To(metav1.NewTime(leaf.NotAfter))
	end := leaf.NotAfter.UTC().Format(time.RFC3339)
	condition := conditions.New(
		v1alpha1.ConditionCertificateValid, true, v1alpha1.ReasonCertificateLasts, "the certificate is valid until "+end,
	)
	switch left := leaf.NotAfter.Sub(w.now()); {
	case left <= 0:
		condition = conditions.New(v1alpha1.ConditionCertificateValid, false, v1alpha1.ReasonCertificateExpired,
			"the certificate has expired at "+end+": who verifies it makes no new connection; renew it")
	case left < expiresSoon:
		condition = conditions.New(v1alpha1.ConditionCertificateValid, false, v1alpha1.ReasonCertificateExpiring,
			"the certificate ends at "+end+": renew it")
	}
	return status, &condition
}
