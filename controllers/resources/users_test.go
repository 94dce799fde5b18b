// SPDX-License-Identifier: Apache-2.0

package resources_test

import (
	"fmt"
	"net"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redisha/redisha/controllers/accounts"
	"github.com/redisha/redisha/controllers/passwords"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/redisclient"
)

// operator is a client that shows what the operator shows.
func (s *server) operator(how launch) *redisclient.Client {
	c := redisclient.New(redisclient.Options{
		Addr: net.JoinHostPort("127.0.0.1", s.port), Credentials: how.accounts().Shown, Name: "redisha/test",
		Timeout: 10 * time.Second,
	})
	s.t.Cleanup(c.Close)
	return c
}

// What a stolen password of an application cannot be used for: to stop a set, to point it elsewhere, to read or change
// its configuration.
func TestTheDefaultUserCannotBreakASet(t *testing.T) {
	s := start(t, minimal(), launch{restricted: true})
	s.eventually("redis-server answers", func() bool { return strings.Contains(s.cli("ping"), "PONG") })
	app := redis.NewClient(&redis.Options{Addr: net.JoinHostPort("127.0.0.1", s.port), Password: password, MaxRetries: -1})
	defer func() { _ = app.Close() }()
	for _, command := range []string{
		"shutdown", "shutdown nosave force", "debug sleep 1", "debug segfault", "debug reload", "save",
		"replicaof no one", "replicaof 192.0.2.1 6379", "slaveof no one", "failover", "psync ? -1", "sync",
		"migrate 192.0.2.1 6379 k 0 1000", "module load /data/x.so", "module list",
		"config get *", "config get requirepass", "config get masterauth", "config set maxmemory 1",
		"config set min-replicas-to-write 5", "config rewrite", "config resetstat",
		"acl list", "acl users", "acl getuser default", "acl setuser default on nopass", "acl deluser redisha-operator",
		"acl save", "acl load", "acl log", "acl genpass",
		"client kill type replica", "client kill type normal skipme no", "client pause 100000 all", "client unpause",
		"client no-evict on", "script debug sync", "pfselftest", "pfdebug todense k",
	} {
		out := s.says(app, command)
		if !strings.Contains(out, "NOPERM") && !strings.Contains(out, "command not allowed") {
			t.Errorf("%s: %s", command, out)
		}
	}
	for command, want := range map[string]string{
		"acl whoami": "default", "info server": "redis_version", "role": "slave", "client list": "cmd=client",
		"client setname me": "OK", "get k": "nil", "keys *": "", "eval return(1) 0": "1", "memory usage k": "", "slowlog get": "", "latency latest": "", "dbsize": "0", "replconf ack 1": "",
	} {
		if out := s.says(app, command); strings.Contains(out, "NOPERM") || !strings.Contains(out, want) {
			t.Errorf("%s: %s", command, out)
		}
	}
}

// says is what Redis answers to a command, be it an error.
func (s *server) says(c *redis.Client, command string) string {
	var words []any
	for _, word := range strings.Fields(command) {
		words = append(words, word)
	}
	answer, err := c.Do(s.t.Context(), words...).Result()
	if err != nil {
		return err.Error()
	}
	return fmt.Sprint(answer)
}

// The operator's own users may do what they have to, and no more: each with the real commands of its user.
func TestTheUsersOfOperatorReplicasAndPodsMayDoWhatTheyHaveTo(t *testing.T) {
	how := launch{restricted: true}
	master, replica := start(t, minimal(), how), start(t, minimal(), how)
	m, r := master.operator(how), replica.operator(how)
	ctx := t.Context()
	master.eventually("redis-server answers", func() bool { return m.Ping(ctx) == nil && r.Ping(ctx) == nil })
	port, err := strconv.Atoi(master.port)
	if err != nil {
		t.Fatal(err)
	}
	failures := map[string]error{
		"promote": m.Promote(ctx), "follow": r.ReplicaOf(ctx, "127.0.0.1", port),
		"guard": m.SetMinReplicas(ctx, 0, 2*time.Second), "pause": m.PauseWrites(ctx, time.Second),
		"unpause": m.UnpauseWrites(ctx),
	}
	_, failures["pause and ask"] = m.PauseAndInfo(ctx, time.Millisecond)
	_, failures["cut clients"] = m.KillClients(ctx)
	_, failures["cut writers"] = m.KillWriters(ctx)
	_, failures["cut another operator's"] = m.KillOperatorConnections(ctx, "redisha/")
	_, failures["count operators"] = m.CountOperatorConnections(ctx, "redisha/")
	_, failures["try settings"] = m.TryConfig(ctx, []redisclient.Setting{{Name: "maxmemory", Value: "1gb"}})
	_, failures["encrypt"] = m.Encrypt(ctx, redisclient.Encryption{PlainPort: port})
	_, failures["set users"] = m.SetUsers(ctx, how.accounts().ForProcess())
	_, failures["try users"] = m.TryUsers(ctx, []redisclient.User{{Name: "x", Rules: []string{"+get"}}})
	for what, err := range failures {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	replica.eventually("the link is up", func() bool {
		info, err := r.Info(ctx)
		return err == nil && info.LinkUp
	})
	for _, s := range []*server{master, replica} {
		if out, err := s.script("health.sh", "ready"); err != nil {
			t.Errorf("not ready: %s %v", out, err)
		}
	}
	secret := how.accounts().Shown()[0]
	if out := master.cli("--user", secret.User, "--no-auth-warning", "-a", secret.Password, "get", "k"); !strings.Contains(
		out, "NOPERM") {
		t.Errorf("the operator may read data: %s", out)
	}
	pod := how.accounts().PodPassword()
	for _, command := range []string{"replicaof no one", "acl list", "get k", "config get masterauth"} {
		args := append([]string{"--user", "redisha-pod", "--no-auth-warning", "-a", pod}, strings.Fields(command)...)
		if out := master.cli(args...); !strings.Contains(out, "NOPERM") {
			t.Errorf("the pod's user may %s: %s", command, out)
		}
	}
}

// The rules are those of the page, word by word.
func TestTheUserOfTheMetricsPageMayDoWhatAnExporterSendsAndSeesNoData(t *testing.T) {
	page, err := os.ReadFile("../../docs/guide/operations/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	list := regexp.MustCompile(`(?m)^ +rules: \[(.+)\]$`).FindStringSubmatch(string(page))
	if list == nil {
		t.Fatal("the page has no rules")
	}
	s := start(t, minimal(), launch{restricted: true, users: []accounts.User{{
		Name: "metrics", Rules: strings.Split(list[1], ", "), Password: passwords.State{Current: "of-metrics"},
	}}})
	s.eventually("redis-server answers", func() bool { return strings.Contains(s.cli("ping"), "PONG") })
	c := redis.NewClient(&redis.Options{
		Addr: net.JoinHostPort("127.0.0.1", s.port), Username: "metrics", Password: "of-metrics", MaxRetries: -1,
	})
	defer func() { _ = c.Close() }()
	for _, command := range []string{
		"ping", "client setname redis_exporter", "info all", "info", "info modules", "latency latest", "latency histogram",
		"slowlog len", "slowlog get 1", "command info commandlog", "client list",
	} {
		if out := s.says(c, command); strings.Contains(out, "NOPERM") || strings.Contains(out, "WRONGPASS") {
			t.Errorf("an exporter sends %s: %s", command, out)
		}
	}
	for _, command := range []string{
		"get k", "set k 1", "del k", "keys *", "scan 0", "randomkey", "dbsize", "type k", "memory usage k", "dump k", "monitor",
		"eval return(1) 0", "subscribe c", "publish c 1", "psync ? -1", "sync", "replicaof no one", "config get masterauth",
		"config get *", "config set maxmemory 1", "config resetstat", "slowlog reset", "latency reset", "client kill type normal",
		"client pause 1000", "client no-evict on", "acl list", "acl getuser default", "flushall", "shutdown", "debug sleep 0",
		"module list", "script flush", "save", "bgsave", "select 1",
	} {
		if out := s.says(c, command); !strings.Contains(out, "NOPERM") && !strings.Contains(out, "command not allowed") {
			t.Errorf("it may %s: %s", command, out)
		}
	}
}

// The Secret of a set that ran before there were other users than the default one: what is mounted may be newer than
// what the process has read.
func TestScriptsAskAsTheDefaultUserWhereTheirOwnIsNotKnownYet(t *testing.T) {
	s := start(t, minimal(), launch{before: true})
	s.eventually("redis-server answers", func() bool { return strings.Contains(s.cli("ping"), "PONG") })
	s.cli("replicaof", "no", "one")
	for range 2 {
		for _, kind := range []string{"live", "ready"} {
			if out, err := s.script("health.sh", kind); err != nil {
				t.Errorf("%s: %s %v", kind, out, err)
			}
		}
		s.write("pod-password", "of a user that the process does not know")
	}
}

func TestASecretFromBeforeThereWereUsersIsRead(t *testing.T) {
	for conf, holds := range map[string]bool{
		"requirepass \"x\"\nmasterauth \"x\"\n":     true,
		"requirepass \"x\"\nmasterauth \"other\"\n": false,
	} {
		data := map[string][]byte{resources.AuthConf: []byte(conf), resources.PasswordKey: []byte("x")}
		state := accounts.In(data, resources.PasswordKey)
		if resources.HoldsUsers(data, state) != holds || state.Default.Current != "x" || state.System.Current != "" {
			t.Errorf("%q: %+v", conf, state)
		}
	}
}
