// SPDX-License-Identifier: Apache-2.0

package resources_test

import (
	"reflect"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/accounts"
	"github.com/redisha/redisha/controllers/encryption"
	"github.com/redisha/redisha/controllers/resources"
)

// all are the objects that are made for a RedisHA.
func all(name string) []client.Object {
	rha := &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "store"}}
	return []client.Object{
		resources.StatefulSet(rha, resources.Replicas(rha)),
		resources.HeadlessService(rha, encryption.State{}),
		resources.MasterService(rha, encryption.State{}),
		resources.ReplicasService(rha, encryption.State{}),
		resources.ConfigMap(rha),
		resources.GeneratedSecret(rha, "x"),
		resources.MountSecret(rha, accounts.State{}, encryption.State{}, encryption.State{}),
		resources.UsersSecret(rha, accounts.State{}),
		resources.GeneratedTLSSecret(rha, nil),
		resources.PodDisruptionBudget(rha),
	}
}

// If x+s = y+t with s shorter than t, then t ends with s. So it is enough to compare suffixes: for all names x and y
// and suffixes s and t of one kind, x+s = y+t implies x = y and s = t, if no suffix ends with another one.
func TestNoTwoRedisHAWantAnObjectOfTheSameName(t *testing.T) {
	suffixes := map[reflect.Type]map[string]bool{}
	for _, object := range all("shop") {
		kind := reflect.TypeOf(object)
		suffix, found := strings.CutPrefix(object.GetName(), "shop")
		if !found {
			t.Fatalf("%s %q does not begin with the name of its RedisHA", kind, object.GetName())
		}
		if suffixes[kind] == nil {
			suffixes[kind] = map[string]bool{}
		}
		if suffixes[kind][suffix] {
			t.Errorf("two of kind %s are called NAME%s", kind, suffix)
		}
		suffixes[kind][suffix] = true
	}
	for kind, of := range suffixes {
		for s := range of {
			for u := range of {
				if s != u && strings.HasSuffix(u, s) {
					t.Errorf(
						"%s: NAME%s of one RedisHA is NAME%s of another, called NAME%s there", kind, u, s, strings.TrimSuffix(u, s),
					)
				}
			}
		}
	}
}

// The same, by trying every name that is made of what suffixes are made of.
func TestNamesMadeOfSuffixesDoNotCollide(t *testing.T) {
	owner := map[string]string{}
	for _, name := range composed("a", 3) {
		for _, object := range all(name) {
			wanted := reflect.TypeOf(object).String() + " " + object.GetName()
			if other, taken := owner[wanted]; taken {
				t.Errorf("%s is wanted by %s and by %s", wanted, other, name)
			}
			owner[wanted] = name
		}
	}
	if len(owner) < 1000 {
		t.Errorf("only %d objects were compared", len(owner))
	}
}

// composed are the names of up to so many parts after the first.
func composed(name string, parts int) []string {
	names := []string{name}
	if parts == 0 {
		return names
	}
	for _, part := range []string{"auth", "conf", "generated", "config", "master", "replicas", "headless", "0"} {
		names = append(names, composed(name+"-"+part, parts-1)...)
	}
	return names
}

func TestAFormerSecretIsInTheWayOfARedisHAWithAShorterName(t *testing.T) {
	for name, want := range map[string]bool{"a-conf": true, "a-b-conf": true, "conf": false, "a": false, "aconf": false, "a-conf-b": false} {
		if got := resources.FormerSecretIsInTheWay(name); got != want {
			t.Errorf("of %s: %t", name, got)
		}
	}
	if resources.FormerSecretName("a-conf") != resources.MountSecretName("a") {
		t.Error("the example is none")
	}
}
