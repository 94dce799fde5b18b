// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"strings"
	"testing"
	"time"

	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/redisha/redisha/api/v1alpha1"
)

func TestABadRequestIsRefusedNamingFieldAndRemedy(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	for name, tc := range map[string]struct {
		spec string
		says []string
	}{
		"no RedisHA":              {"action: Switchover", []string{"spec.redisHA", "Required"}},
		"no action":               {"redisHA: cache", []string{"spec.action", "Required"}},
		"unknown action":          {"redisHA: cache\naction: Promote", []string{"spec.action", `"Switchover", "ForceFailover", "Discard", "Restart"`}},
		"force without a pod":     {"redisHA: cache\naction: ForceFailover\nacceptDataLoss: true", []string{"spec.pod is missing"}},
		"discard without consent": {"redisHA: cache\naction: Discard\npod: cache-1", []string{"spec.acceptDataLoss must be true"}},
		"restart of one pod":      {"redisHA: cache\naction: Restart\npod: cache-1", []string{"spec.pod cannot be given for Restart", "delete that pod"}},
		"no time at all":          {"redisHA: cache\naction: Switchover\ndeadlineSeconds: 0", []string{"spec.deadlineSeconds"}},
	} {
		t.Run(name, func(t *testing.T) {
			u := &unstructured.Unstructured{}
			if err := yaml.Unmarshal(
				[]byte("apiVersion: redisha.io/v1alpha1\nkind: RedisHARequest\nspec:\n"+indent(tc.spec)), &u.Object,
			); err != nil {
				t.Fatal(err)
			}
			u.SetNamespace(ns)
			u.SetName("asked")
			err := bed.Client.Create(t.Context(), u)
			if err == nil {
				t.Fatal("it was accepted")
			}
			for _, says := range tc.says {
				if !strings.Contains(err.Error(), says) {
					t.Errorf("the error does not say %q: %v", says, err)
				}
			}
		})
	}
}

// ask makes a request about the RedisHA cache.
func ask(t *testing.T, ns, name string, spec v1alpha1.RedisHARequestSpec) *v1alpha1.RedisHARequest {
	t.Helper()
	spec.RedisHA = "cache"
	request := &v1alpha1.RedisHARequest{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: name}, Spec: spec}
	if err := bed.Client.Create(t.Context(), request); err != nil {
		t.Fatal(err)
	}
	return request
}

// answered waits until a request is over, and expects it to have ended so.
func answered(t *testing.T, request *v1alpha1.RedisHARequest, state v1alpha1.RequestState, reason, message string) {
	t.Helper()
	eventually(t, "request "+request.Name+" is over", 3*time.Minute, func(ctx context.Context) (bool, error) {
		err := bed.Client.Get(ctx, client.ObjectKeyFromObject(request), request)
		return request.Status.State.IsOver(), err
	})
	if s := request.Status; s.State != state || s.Reason != reason || !strings.Contains(s.Message, message) {
		t.Errorf(
			"request %s is %s (%s): %q, want %s (%s): %q", request.Name, s.State, s.Reason, s.Message, state, reason, message,
		)
	}
}

func TestARequestIsCarriedOutOnceAndTellsWhatCameOfIt(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	first := ask(t, ns, "early", v1alpha1.RedisHARequestSpec{Action: v1alpha1.ActionSwitchover, DeadlineSeconds: 3})
	answered(
		t, first, v1alpha1.RequestFailed, v1alpha1.ReasonDeadlineExceeded, "there is no RedisHA cache in namespace "+ns,
	)
	key := create(t, ns, v1alpha1.RedisHASpec{})
	rha := settled(t, key)
	master := rha.Status.Master.Pod
	wrong := ask(t, ns, "wrong", v1alpha1.RedisHARequestSpec{Action: v1alpha1.ActionSwitchover, IfMaster: "cache-7"})
	answered(t, wrong, v1alpha1.RequestFailed, v1alpha1.ReasonPreconditionFailed, "the master is "+master)
	nowhere := ask(t, ns, "nowhere", v1alpha1.RedisHARequestSpec{Action: v1alpha1.ActionSwitchover, Pod: "cache-7"})
	answered(t, nowhere, v1alpha1.RequestFailed, "RequestedNodeIneligible", "there is no replica cache-7")
	target := "cache-1"
	if master == target {
		target = "cache-2"
	}
	move := ask(
		t, ns, "move", v1alpha1.RedisHARequestSpec{Action: v1alpha1.ActionSwitchover, Pod: target, IfMaster: master},
	)
	answered(t, move, v1alpha1.RequestSucceeded, "", target+" is master by epoch")
	back := ask(t, ns, "back", v1alpha1.RedisHARequestSpec{Action: v1alpha1.ActionSwitchover, Pod: master})
	answered(t, back, v1alpha1.RequestSucceeded, "", master+" is master by epoch")
	force := ask(
		t, ns, "force",
		v1alpha1.RedisHARequestSpec{Action: v1alpha1.ActionForceFailover, Pod: target, AcceptDataLoss: true},
	)
	answered(t, force, v1alpha1.RequestSucceeded, "", target+" is master by epoch")
	after := settled(t, key)
	if got, want := after.Status.Master.Epoch, rha.Status.Master.Epoch+3; got != want ||
		after.Status.Master.Pod != target {
		t.Errorf("master %s by epoch %d, want %s by %d", after.Status.Master.Pod, got, target, want)
	}
	before := move.DeepCopy()
	move.Spec.Pod = "cache-0"
	if err := bed.Client.Patch(t.Context(), move, client.MergeFrom(before)); err == nil ||
		!strings.Contains(err.Error(), "delete the request, and make another") {
		t.Errorf("a request was changed: %v", err)
	}
}

func TestARestartOnRequestReplacesEachPodOnceTheMasterLast(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	key := create(t, ns, v1alpha1.RedisHASpec{})
	before, first := pods(t, key), settled(t, key)
	request := ask(t, ns, "restart", v1alpha1.RedisHARequestSpec{Action: v1alpha1.ActionRestart})
	answered(t, request, v1alpha1.RequestSucceeded, "", "3 of 3 pods have been restarted")
	rha := settled(t, key)
	for name, uid := range pods(t, key) {
		if before[name] == uid {
			t.Errorf("%s was not replaced", name)
		}
	}
	if rha.Status.Master.Epoch != first.Status.Master.Epoch+1 || rha.Status.History[0].Kind != v1alpha1.HistorySwitchover {
		t.Errorf(
			"epoch %d, before %d; the last entry is a %s", rha.Status.Master.Epoch, first.Status.Master.Epoch,
			rha.Status.History[0].Kind,
		)
	}
}

// Whoever may ask may change nothing else.
func TestARequesterMayAskAndChangeNoRedisHA(t *testing.T) {
	t.Parallel()
	ns := namespace(t)
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "jane"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "redisha-requester"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "jane"}},
	}
	rha := &v1alpha1.RedisHA{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "cache"},
		Spec:       v1alpha1.RedisHASpec{Failover: v1alpha1.FailoverSpec{Mode: v1alpha1.ModePaused}},
	}
	for _, object := range []client.Object{binding, rha} {
		if err := bed.Client.Create(t.Context(), object); err != nil {
			t.Fatal(err)
		}
	}
	config := bed.Sandbox.AdminConfig()
	config.Impersonate.UserName = "jane"
	jane, err := client.New(config, client.Options{Scheme: bed.Client.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	request := &v1alpha1.RedisHARequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "asked"},
		Spec:       v1alpha1.RedisHARequestSpec{RedisHA: "cache", Action: v1alpha1.ActionSwitchover},
	}
	eventually(t, "jane may ask", 20*time.Second, func(ctx context.Context) (bool, error) {
		return jane.Create(ctx, request) == nil, nil // the binding is seen after a moment
	})
	if err := jane.Get(t.Context(), client.ObjectKeyFromObject(rha), rha); err != nil {
		t.Errorf("whom to ask about cannot be seen: %v", err)
	}
	before := rha.DeepCopy()
	rha.Annotations = map[string]string{v1alpha1.AnnotationRequest: "switchover"}
	if err := jane.Patch(t.Context(), rha, client.MergeFrom(before)); !apierrors.IsForbidden(err) {
		t.Errorf("the RedisHA was changed: %v", err)
	}
	told := request.DeepCopy()
	told.Status.State = v1alpha1.RequestSucceeded
	if err := jane.Status().Patch(t.Context(), told, client.MergeFrom(request)); !apierrors.IsForbidden(err) {
		t.Errorf("an outcome was made up: %v", err)
	}
}

// pods are the UIDs of the Redis pods, by name.
func pods(t *testing.T, key client.ObjectKey) map[string]string {
	t.Helper()
	uids, err := bed.PodUIDs(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	return uids
}
