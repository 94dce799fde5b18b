// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/accounts"
	"github.com/redisha/redisha/controllers/passwords"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/redisclient"
)

// looksEvery is how often each process is asked whether its users are as they were told.
const looksEvery = time.Minute

// knownUsers are those in force, so that even deleting or editing all Secrets at once cannot lock the operator out of a
// running Redis.
type knownUsers struct {
	uid    types.UID // of the RedisHA: one of the same name that is made anew has other passwords
	state  accounts.State
	told   told
	prints map[string]string // what Redis said of its users when it was told of them, by the UID of its pod
	looked time.Time
}

// of is what is known of the RedisHA with that UID; the zero value when nothing is.
func (k knownUsers) of(uid types.UID) accounts.State {
	if k.uid != uid {
		return accounts.State{}
	}
	return k.state
}

// users are those that are to be in force. No password is generated anew while a Secret of ours holds one. A refusal
// comes with what is in force, if anything is: what runs goes on running with it. Errors and conditions never hold a
// password.
func (w *pass) users(ctx context.Context) (accounts.State, error) {
	inForce, err := w.usersInForce(ctx)
	if err != nil {
		return inForce, err
	}
	goal, refused := w.usersGoal(ctx, inForce)
	if inForce.Default.Current == "" && goal.Password == "" {
		if !w.generatesPassword() {
			return inForce, refused // no process is to start with another password than the one that is wanted
		}
		goal.Password = rand.Text()
	}
	next := inForce
	if inForce.Default.Current == "" || w.rha.Spec.Failover.Mode != v1alpha1.ModePaused {
		next = inForce.Next(goal, w.usersTold(inForce), w.now())
	}
	if known := &w.known.users; known.uid != w.rha.UID {
		*known = knownUsers{uid: w.rha.UID}
	}
	w.known.users.state = next
	return next, refused
}

// usersGoal is what the spec wants, but for what is refused: of that, what is in force stays.
func (w *pass) usersGoal(ctx context.Context, inForce accounts.State) (accounts.Goal, error) {
	goal := accounts.Goal{
		Running: w.sts != nil || len(w.pods) > 0, Fresh: rand.Text(),
		KeepFormer: time.Duration(v1alpha1.DefaultAcceptFormerSeconds) * time.Second,
	}
	auth := w.rha.Spec.Auth
	if auth == nil {
		return goal, nil
	}
	w.lookAgain(secretsEvery)
	goal.KeepFormer = time.Duration(ptr.Deref(auth.AcceptFormerSeconds, v1alpha1.DefaultAcceptFormerSeconds)) * time.Second
	var failures []error
	if ref := auth.PasswordSecretRef; ref.Name != "" {
		password, err := w.userPassword(ctx, "spec.auth.passwordSecretRef", ref)
		failures, goal.Password = append(failures, err), password
	}
	for _, user := range auth.Users {
		field := fmt.Sprintf("spec.auth.users[name=%q].passwordSecretRef", user.Name)
		password, err := w.userPassword(ctx, field, user.PasswordSecretRef)
		failures = append(failures, err)
		goal.Users = append(goal.Users, accounts.Wanted{Name: user.Name, Rules: rules(user.Rules), Password: password})
	}
	goal.Rules = rules(auth.Rules)
	return goal, errors.Join(append(failures, w.tryUsers(ctx, inForce, &goal))...)
}

func rules(of []v1alpha1.ACLRule) []string {
	words := make([]string, 0, len(of))
	for _, rule := range of {
		words = append(words, string(rule))
	}
	return words
}

// tryUsers has a Redis that runs try the rules that are new. Those that it refuses, and all while there is none to ask,
// stay as they are in force: no process starts with a rule that none has taken.
func (w *pass) tryUsers(ctx context.Context, inForce accounts.State, goal *accounts.Goal) error {
	changed := changedRules(inForce, goal)
	if len(changed) == 0 {
		return nil
	}
	node := w.triedOn()
	if node.UID == "" || w.Trial == nil {
		return w.waitForTrial(changed, inForce, goal)
	}
	refused, err := w.Trial.TryUsers(ctx, client.ObjectKeyFromObject(w.rha).String(), node, changed)
	if err != nil {
		ctrl.LoggerFrom(ctx).Error(err, "the changed rules of users could not be tried; they wait", "pod", node.Pod)
		return w.waitForTrial(changed, inForce, goal)
	}
	return keepRules(node.Pod, refused, inForce, goal)
}

func (w *pass) waitForTrial(changed []redisclient.User, inForce accounts.State, goal *accounts.Goal) error {
	w.lookAgain(tellsAgain)
	untried := make([]redisclient.RefusedUser, 0, len(changed))
	for _, user := range changed {
		untried = append(untried, redisclient.RefusedUser{Name: user.Name})
	}
	return keepRules("", untried, inForce, goal)
}

// changedRules are the users with rules that are not in force.
func changedRules(inForce accounts.State, goal *accounts.Goal) (changed []redisclient.User) {
	if !slices.Equal(goal.Rules, inForce.Rules) {
		changed = append(changed, redisclient.User{Name: redisclient.DefaultUser, Rules: goal.Rules})
	}
	for _, user := range goal.Users {
		if had, there := inForce.RulesOf(user.Name); !there || !slices.Equal(user.Rules, had) {
			changed = append(changed, redisclient.User{Name: user.Name, Rules: user.Rules})
		}
	}
	return changed
}

// keepRules puts what is in force in the place of what was refused, and tells what Redis says.
func keepRules(pod string, refused []redisclient.RefusedUser, inForce accounts.State, goal *accounts.Goal) error {
	var words []string
	for _, r := range refused {
		field := fmt.Sprintf("spec.auth.users[name=%q].rules", r.Name)
		if r.Name == redisclient.DefaultUser {
			field, goal.Rules = "spec.auth.rules", inForce.Rules
		}
		goal.Users = slices.DeleteFunc(goal.Users, func(u accounts.Wanted) bool {
			_, there := inForce.RulesOf(u.Name)
			return u.Name == r.Name && !there
		})
		for i := range goal.Users {
			if u := &goal.Users[i]; u.Name == r.Name {
				u.Rules, _ = inForce.RulesOf(r.Name)
			}
		}
		if r.Why != "" {
			words = append(words, field+": "+r.Why)
		}
	}
	if len(words) == 0 {
		return nil
	}
	return refuse(v1alpha1.ReasonACLRefused,
		"tried on %s, which refuses it; no Redis was changed, and users are as before: %s", pod, strings.Join(words, "; "))
}

// usersTold reports that every process that answers has been told of a state.
func (w *pass) usersTold(state accounts.State) bool {
	return w.known.users.uid == w.rha.UID && w.known.users.told.answering(w.runningNodes(), state.Generation())
}

// tellUsers tells every process which users it is to know, and again where that was changed.
func (w *pass) tellUsers(ctx context.Context) error {
	state := w.known.users.state
	if w.Teller == nil || w.rha.Spec.Failover.Mode == v1alpha1.ModePaused {
		return nil
	}
	known, key := &w.known.users, client.ObjectKeyFromObject(w.rha).String()
	nodes, generation := w.runningNodes(), state.Generation()
	w.lookAtUsers(ctx, nodes, generation)
	before, prints := w.usersTold(state), map[string]string{}
	for _, node := range nodes {
		prints[node.UID] = known.prints[node.UID]
	}
	known.told.tell(nodes, generation, func(node failover.NodeRef) (err error) {
		prints[node.UID], err = w.Teller.SetUsers(ctx, key, node, state.ForProcess())
		return err
	})
	known.prints = prints
	switch until := state.Until(); {
	case !w.usersTold(state):
		w.lookAgain(tellsAgain)
	case !before || state.Coming():
		w.lookAgain(tellsAgain / 3)
	case !until.IsZero():
		w.lookAgain(min(max(until.Sub(w.now()), time.Second), looksEvery))
	default:
		w.lookAgain(looksEvery)
	}
	return w.putOff(known.told.refused(nodes))
}

// refused is what processes say against the users that they are told.
func (t told) refused(nodes []failover.NodeRef) error {
	var words []string
	for _, node := range nodes {
		if of := t[node.UID]; redisclient.Classify(of.err) == redisclient.ClassServer {
			words = append(words, node.Pod+": "+of.words())
		}
	}
	if len(words) == 0 {
		return nil
	}
	return refuse(v1alpha1.ReasonACLRefused, "spec.auth: Redis refuses a user: %s", strings.Join(words, "; "))
}

// lookAtUsers has those told again whose users are not what they were after they were told.
func (w *pass) lookAtUsers(ctx context.Context, nodes []failover.NodeRef, generation string) {
	known := &w.known.users
	if w.now().Sub(known.looked) < looksEvery {
		return
	}
	known.looked = w.now()
	for _, node := range nodes {
		if !known.told.has(node, generation) {
			continue
		}
		now, err := w.Teller.Users(ctx, client.ObjectKeyFromObject(w.rha).String(), node)
		if err != nil || now == known.prints[node.UID] {
			continue
		}
		delete(known.told, node.UID)
		w.Recorder.Eventf(w.rha, corev1.EventTypeWarning, v1alpha1.EventUsersRestored,
			"The users of Redis in %s were changed by hand; they are made what spec.auth says", node.Pod)
	}
}

// usersInForce are what running pods have; none when there is none yet.
func (w *pass) usersInForce(ctx context.Context) (accounts.State, error) {
	if state := w.known.users.of(w.rha.UID); state.Default.Current != "" {
		return state, nil
	}
	mounted, err := w.ownSecret(ctx, resources.MountSecretName(w.rha.Name))
	if err != nil {
		return accounts.State{}, err
	}
	if state := accounts.In(mounted, resources.PasswordKey); resources.HoldsUsers(mounted, state) {
		return state, nil
	}
	second, err := w.ownSecret(ctx, resources.UsersSecretName(w.rha.Name))
	if err != nil {
		return accounts.State{}, err
	}
	var state accounts.State
	state.Recall(second)
	for _, name := range []string{resources.GeneratedSecretName(w.rha.Name), resources.FormerSecretName(w.rha.Name)} {
		if w.isUsers(name) {
			continue
		}
		generated, err := w.ownSecret(ctx, name)
		if err != nil {
			return accounts.State{}, err
		}
		if had := string(generated[resources.PasswordKey]); resources.CheckPassword(had) == nil {
			state.Default = passwords.State{Current: had}
			break
		}
	}
	return state, nil
}

// isUsers reports a Secret that the spec takes the default user's password from.
func (w *pass) isUsers(name string) bool {
	return w.rha.Spec.Auth != nil && w.rha.Spec.Auth.PasswordSecretRef.Name == name
}

// generatesPassword reports that the spec names no password for the default user.
func (w *pass) generatesPassword() bool { return w.rha.Spec.Auth == nil || w.isUsers("") }
