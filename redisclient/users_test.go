// SPDX-License-Identifier: Apache-2.0

package redisclient_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/redisha/redisha/redisclient"
	"github.com/redisha/redisha/redisclient/redistest"
)

// as is a client that shows the first of the credentials, and tries the others.
func as(t *testing.T, node testNode, shown ...redisclient.Credentials) *redisclient.Client {
	t.Helper()
	return clientWith(t, node, redisclient.Options{
		Credentials: func() []redisclient.Credentials { return shown },
		Timeout:     patience, DialTimeout: patience,
	})
}

// knowing is a client of the default user.
func knowing(t *testing.T, node testNode, passwords ...string) *redisclient.Client {
	t.Helper()
	var shown []redisclient.Credentials
	for _, password := range passwords {
		shown = append(shown, redisclient.Credentials{Password: password})
	}
	return as(t, node, shown...)
}

// taking are users of which the default one takes these passwords, and the first of them is shown to a master.
func taking(passwords ...string) redisclient.Users {
	return redisclient.Users{
		All: []redisclient.User{
			{Name: redisclient.DefaultUser, Rules: []string{"~*", "&*", "+@all"}, Passwords: passwords},
		},
		Master: redisclient.Credentials{Password: passwords[0]},
	}
}

func set(t *testing.T, c *redisclient.Client, u redisclient.Users) string {
	t.Helper()
	fingerprint, err := c.SetUsers(t.Context(), u)
	must(t, err)
	return fingerprint
}

func TestPasswordsAreChangedWhileOldAndNewAreTaken(t *testing.T) {
	node := startReal(t, redistest.Config{BootsAsMaster: true, Password: "old"})
	c := knowing(t, node, "old")
	must(t, c.Ping(t.Context()))
	set(t, c, taking("new", "old"))
	must(t, knowing(t, node, "old").Ping(t.Context()))
	must(t, knowing(t, node, "new").Ping(t.Context()))
	set(t, c, taking("new"))
	must(t, c.Ping(t.Context())) // whoever is there stays
	wantClass(t, knowing(t, node, "old").Ping(t.Context()), redisclient.ClassAuth)
	must(t, knowing(t, node, "new").Ping(t.Context()))
}

func TestFormerCredentialsAreTriedWhereTheCurrentOnesAreRefused(t *testing.T) {
	node := startReal(t, redistest.Config{BootsAsMaster: true, Password: "old"})
	must(t, knowing(t, node, "newest", "new", "old").Ping(t.Context()))
	must(t, as(t, node, redisclient.Credentials{User: "ours", Password: "x"}, redisclient.Credentials{Password: "old"}).
		Ping(t.Context()))
	wantClass(t, knowing(t, node, "newest", "new").Ping(t.Context()), redisclient.ClassAuth)
}

// ours may change users, and the default one may not any more.
func ours() redisclient.Users {
	u := taking("old")
	u.All[0].Rules = append(u.All[0].Rules, "-acl", "-config")
	u.All = append(u.All, redisclient.User{
		Name: "ours", Rules: []string{"+acl", "+config", "+ping", "+auth"}, Passwords: []string{"x"},
	})
	return u
}

// A connection that was made as the default user is another's as soon as the process knows that one, and whoever missed
// it connects anew.
func TestAConnectionIsOfTheUserInForceAsSoonAsThereIsOne(t *testing.T) {
	node := startReal(t, redistest.Config{BootsAsMaster: true, Password: "old"})
	shown := []redisclient.Credentials{{User: "ours", Password: "x"}, {Password: "old"}}
	c, other := as(t, node, shown...), as(t, node, shown...)
	must(t, other.Ping(t.Context()))
	set(t, c, ours())
	set(t, c, ours())
	if _, err := other.Users(t.Context()); redisclient.Classify(err) != redisclient.ClassAuth {
		t.Errorf("the default user may see users: %v", err)
	}
	_, err := other.Users(t.Context())
	must(t, err)
}

func TestUsersThatAreNotDeclaredAreRemovedAndChangesAreNoticed(t *testing.T) {
	node := startReal(t, redistest.Config{BootsAsMaster: true, Password: "old"})
	c, hand := knowing(t, node, "old"), knowing(t, node, "old")
	is := set(t, c, taking("old"))
	same := func() bool {
		now, err := c.Users(t.Context())
		must(t, err)
		return now == is
	}
	if !same() {
		t.Error("nothing was changed, and it is noticed")
	}
	withOne := taking("old")
	withOne.All = append(
		withOne.All,
		redisclient.User{Name: "one", Rules: []string{"+get", "~*"}, Passwords: []string{"p"}},
	)
	set(t, hand, withOne)
	if same() {
		t.Error("a user was added, and it is not noticed")
	}
	one := redisclient.Credentials{User: "one", Password: "p"}
	wantClass(t, as(t, node, one).ConfigSet(t.Context(), "maxclients", "10"), redisclient.ClassAuth)
	if again := set(t, c, taking("old")); again != is {
		t.Error("it is not as it was")
	}
	wantClass(t, as(t, node, one).Ping(t.Context()), redisclient.ClassAuth)
	must(t, hand.ConfigSet(t.Context(), "masterauth", "another"))
	if same() {
		t.Error("what is shown to the master was changed, and it is not noticed")
	}
}

func TestRulesAreTriedAndNothingIsChanged(t *testing.T) {
	node := startReal(t, redistest.Config{BootsAsMaster: true, Password: "old"})
	c := knowing(t, node, "old")
	before := set(t, c, taking("old"))
	refused, err := c.TryUsers(t.Context(), []redisclient.User{
		{Name: "good", Rules: []string{"~a:*", "+@read", "-client|kill", "(+set ~b:*)"}},
		{Name: "bad", Rules: []string{"+nosuchcommand"}},
		{Name: redisclient.DefaultUser, Rules: []string{"off", "+@nosuchcategory"}},
	})
	must(t, err)
	var names []string
	for _, r := range refused {
		names = append(names, r.Name)
		if !strings.Contains(r.Why, "nosuch") {
			t.Errorf("%s: %s", r.Name, r.Why)
		}
	}
	if !slices.Equal(names, []string{"bad", redisclient.DefaultUser}) {
		t.Errorf("refused are %v", refused)
	}
	after, err := c.Users(t.Context())
	must(t, err)
	if after != before {
		t.Error("the trial has changed something")
	}
}

// A replica shows the new password from its next connection on, and its link stays up until then.
func TestAReplicaFollowsThroughAChangeOfPasswords(t *testing.T) {
	master := startReal(t, redistest.Config{BootsAsMaster: true, Password: "old"})
	replica := startReal(t, redistest.Config{Password: "old"})
	m, r := knowing(t, master, "old"), knowing(t, replica, "old", "new")
	host, port := master.HostPort()
	must(t, r.ReplicaOf(t.Context(), host, port))
	linked := func() bool { return mustInfo(t, r).LinkUp }
	eventually(t, "the link", linked)
	set(t, m, taking("new", "old"))
	set(t, r, taking("new", "old"))
	set(t, m, taking("new"))
	must(t, r.ReplicaOf(t.Context(), redisclient.FenceHost, redisclient.FencePort))
	must(t, r.ReplicaOf(t.Context(), host, port))
	eventually(t, "the link again", linked)
}
