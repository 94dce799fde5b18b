// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"slices"
	"testing"
	"time"
)

func TestNodesThatHaveGoneAreRememberedForSomeSeconds(t *testing.T) {
	now := time.Now()
	names := func(nodes []Node) (names []string) {
		for _, n := range nodes {
			names = append(names, n.Name+"@"+n.ExitedAt.Sub(now).String())
		}
		return names
	}
	node := func(name string) Node { return Node{Name: name, UID: name + "'s", IP: "10.0.0.1"} }
	pending := Node{Name: "d", UID: "d's"}
	ended := node("c")
	ended.Exited = true
	lost := node("b")
	lost.NodeGone = true
	var d Departures
	for _, step := range []struct {
		at    time.Duration
		nodes []Node
		want  []string
	}{
		{0, []Node{node("a"), node("b"), ended, pending}, nil},
		{time.Second, []Node{node("a"), lost, ended}, []string{"b@1s"}},
		{2 * time.Second, []Node{lost}, []string{"b@1s", "a@2s"}}, // that c has ended was seen before
		{3 * time.Second, []Node{node("a")}, []string{"b@1s", "a@2s"}},
		{time.Second + departedFor, []Node{node("a")}, []string{"b@1s", "a@2s"}},
		{3*time.Second + departedFor, []Node{node("a")}, nil},
	} {
		if got := names(d.Seen(now.Add(step.at), step.nodes)); !slices.Equal(got, step.want) {
			t.Errorf("after %s: %v, want %v", step.at, got, step.want)
		}
	}
}
