// SPDX-License-Identifier: Apache-2.0

package redisclient_test

import (
	"testing"

	"github.com/redisha/redisha/redisclient"
	"github.com/redisha/redisha/redisclient/redistest"
)

func knowing(t *testing.T, node testNode, password string, former ...string) *redisclient.Client {
	t.Helper()
	c := redisclient.New(redisclient.Options{
		Addr: node.Addr(), Password: func() string { return password },
		FormerPasswords: func() []string { return former }, Timeout: patience, DialTimeout: patience,
	})
	t.Cleanup(c.Close)
	return c
}

func TestPasswordsAreChangedWhileOldAndNewAreTaken(t *testing.T) {
	node := startReal(t, redistest.Config{BootsAsMaster: true, Password: "old"})
	c := knowing(t, node, "old")
	must(t, c.Ping(t.Context()))
	must(t, c.SetPasswords(t.Context(), redisclient.Passwords{Current: "new", Accepted: []string{"new", "old"}}))
	must(t, knowing(t, node, "old").Ping(t.Context()))
	must(t, knowing(t, node, "new").Ping(t.Context()))
	must(t, c.SetPasswords(t.Context(), redisclient.Passwords{Current: "new", Accepted: []string{"new"}}))
	must(t, c.Ping(t.Context())) // whoever is there stays
	wantClass(t, knowing(t, node, "old").Ping(t.Context()), redisclient.ClassAuth)
	must(t, knowing(t, node, "new").Ping(t.Context()))
}

func TestAFormerPasswordIsTriedWhereTheCurrentOneIsRefused(t *testing.T) {
	node := startReal(t, redistest.Config{BootsAsMaster: true, Password: "old"})
	must(t, knowing(t, node, "newest", "new", "old").Ping(t.Context()))
	wantClass(t, knowing(t, node, "newest", "new").Ping(t.Context()), redisclient.ClassAuth)
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
	both := redisclient.Passwords{Current: "new", Accepted: []string{"new", "old"}}
	must(t, m.SetPasswords(t.Context(), both))
	must(t, r.SetPasswords(t.Context(), both))
	must(t, m.SetPasswords(t.Context(), redisclient.Passwords{Current: "new", Accepted: []string{"new"}}))
	must(t, r.ReplicaOf(t.Context(), redisclient.FenceHost, redisclient.FencePort))
	must(t, r.ReplicaOf(t.Context(), host, port))
	eventually(t, "the link again", linked)
}
