// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/redisha/redisha/e2e/chaos"
	"github.com/redisha/redisha/e2e/checks"
	"github.com/redisha/redisha/e2e/sandbox"
	"github.com/redisha/redisha/redisclient"
)

const (
	sentinelMaster = "bench"
	redisPort      = "6379"
	sentinelPort   = "26379"
)

// redisConfig is what the operator's redis.conf says about replication: both shall have the same Redis.
const redisConfig = `port 6379
bind * -::*
protected-mode no
save ""
appendonly no
repl-ping-replica-period 1
repl-diskless-sync yes
repl-diskless-sync-delay 0
repl-backlog-size 64mb
repl-timeout 15
tcp-keepalive 30
`

// sentinelConfig has Sentinel's defaults but for down-after and failover-timeout, which by default would hold back the
// next failover for minutes.
const sentinelConfig = `port 26379
protected-mode no
sentinel monitor %[1]s %[2]s 6379 2
sentinel down-after-milliseconds %[1]s %[3]d
sentinel failover-timeout %[1]s 5000
`

// process is a redis-server or a Sentinel in a host of its own.
type process struct {
	host *sandbox.Host
	cmd  *exec.Cmd
	dir  string
	args []string
}

// sentinels is a master with two replicas, and three Sentinels that watch it.
type sentinels struct {
	bench  *bench
	redis  []*process
	guards []*process
	victim *process
	epoch  int64 // config-epoch when all was well: the number of promotions
}

func (b *bench) measureSentinel(ctx context.Context, downAfter time.Duration, kills int) error {
	if kills == 0 {
		return nil
	}
	s := &sentinels{bench: b}
	defer s.stop()
	if err := s.start(downAfter); err != nil {
		return err
	}
	var addrs []string
	for _, g := range s.guards {
		addrs = append(addrs, net.JoinHostPort(g.host.Addr().String(), sentinelPort))
	}
	finder := chaos.NewSentinel(sentinelMaster, addrs, b.clients.DialContext)
	defer finder.Close()
	if _, err := s.settle(ctx); err != nil {
		return err
	}
	name := fmt.Sprintf("Redis Sentinel ×3, down-after %d ms", downAfter.Milliseconds())
	return b.countingPromotions(ctx, name, s, chaos.Options{Finder: finder}, kills)
}

func (s *sentinels) start(downAfter time.Duration) error {
	for i := range 3 {
		config := redisConfig
		if i > 0 {
			config += "replicaof " + s.redis[0].host.Addr().String() + " " + redisPort + "\n"
		}
		p, err := s.bench.startProcess(fmt.Sprintf("redis-%d-%d", downAfter.Milliseconds(), i), config)
		if err != nil {
			return err
		}
		s.redis = append(s.redis, p)
	}
	for i := range 3 {
		config := fmt.Sprintf(sentinelConfig, sentinelMaster, s.redis[0].host.Addr(), downAfter.Milliseconds())
		p, err := s.bench.startProcess(fmt.Sprintf("sentinel-%d-%d", downAfter.Milliseconds(), i), config, "--sentinel")
		if err != nil {
			return err
		}
		s.guards = append(s.guards, p)
	}
	return nil
}

func (b *bench) startProcess(name, config string, args ...string) (*process, error) {
	host, err := b.sandbox.NewHost(name)
	if err != nil {
		return nil, err
	}
	p := &process{host: host, dir: filepath.Join(b.logs, name)}
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return nil, err
	}
	file := filepath.Join(p.dir, "redis.conf")
	config += fmt.Sprintf("dir %s\nlogfile %s\n", p.dir, filepath.Join(p.dir, "log"))
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, err
	}
	p.args = append([]string{file}, args...)
	return p, p.start()
}

// start takes further arguments as redis-server does: they overrule the file.
func (p *process) start(more ...string) error {
	p.cmd = p.host.Command(context.Background(), "redis-server", append(slices.Clone(p.args), more...)...)
	return p.cmd.Start()
}

func (p *process) stop() {
	if p.cmd != nil && p.cmd.Process != nil {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	}
}

func (s *sentinels) stop() {
	for _, p := range slices.Concat(s.guards, s.redis) {
		p.stop()
		_ = p.host.Close()
	}
}

func (s *sentinels) story(time.Time) string { return "" }

func (s *sentinels) promotions() int64 { return s.epoch }

func (s *sentinels) kill(context.Context) error {
	s.victim.stop()
	return nil
}

// recovered waits until all Sentinels name another master, and only then starts the killed process again, as a replica
// of that one. That is the best that can happen to Sentinel: a restart before it has noticed would bring the master
// back empty, and have its replicas emptied too.
func (s *sentinels) recovered(ctx context.Context) error {
	old := s.victim.host.Addr().String()
	var master string
	err := sandbox.WaitFor(ctx, "the Sentinels to switch", func(ctx context.Context) (bool, error) {
		names := s.named(ctx)
		master = names[0]
		return master != "" && master != old && names[1] == master && names[2] == master, nil
	})
	if err != nil {
		return err
	}
	return s.victim.start("--replicaof", master+" "+redisPort)
}

// named returns whom each Sentinel takes for the master, "" where it does not answer.
func (s *sentinels) named(ctx context.Context) []string {
	names := make([]string, len(s.guards))
	for i := range s.guards {
		client := s.guard(i)
		if addr, err := client.GetMasterAddrByName(ctx, sentinelMaster).Result(); err == nil && len(addr) == 2 {
			names[i] = addr[0]
		}
		_ = client.Close()
	}
	return names
}

func (s *sentinels) guard(i int) *redis.SentinelClient {
	options := s.bench.client(net.JoinHostPort(s.guards[i].host.Addr().String(), sentinelPort), "").Options()
	return redis.NewSentinelClient(options)
}

// settle waits until Redis and Sentinels are all in agreement.
func (s *sentinels) settle(ctx context.Context) (string, error) {
	var lacking string
	var master string
	err := sandbox.WaitFor(ctx, "Redis and Sentinels to agree", func(ctx context.Context) (bool, error) {
		names := s.named(ctx)
		master = names[0]
		if master == "" || names[1] != master || names[2] != master {
			lacking = fmt.Sprintf("the Sentinels name %q", names)
			return false, nil
		}
		if lacking = s.outOfPlace(ctx, master); lacking != "" {
			return false, nil
		}
		lacking = s.sick(ctx)
		return lacking == "", nil
	})
	if err != nil {
		return "", fmt.Errorf("%w (%s)", err, lacking)
	}
	return net.JoinHostPort(master, redisPort), nil
}

// outOfPlace asks every Redis for its role, and remembers who is master.
func (s *sentinels) outOfPlace(ctx context.Context, master string) string {
	for _, p := range s.redis {
		addr := p.host.Addr().String()
		client := redisclient.New(
			redisclient.Options{Addr: net.JoinHostPort(addr, redisPort), Dialer: s.bench.clients.DialContext},
		)
		info, err := client.Info(ctx)
		client.Close()
		switch {
		case err != nil:
			return err.Error()
		case addr == master && info.Role == redisclient.RoleMaster:
			s.victim = p
		case addr == master:
			return addr + " is not master"
		case info.MasterHost != master || !info.LinkUp || info.SyncInProgress:
			return addr + " does not follow " + master
		}
	}
	return ""
}

// sick asks every Sentinel whether it believes all to be well: a master, two replicas, two other Sentinels, none of
// them down.
func (s *sentinels) sick(ctx context.Context) string {
	for i := range s.guards {
		client := s.guard(i)
		master, err := client.Master(ctx, sentinelMaster).Result()
		replicas, err2 := client.Replicas(ctx, sentinelMaster).Result()
		_ = client.Close()
		if err != nil || err2 != nil {
			return fmt.Sprint(err, err2)
		}
		if problem := checks.LackingInSentinel(master, replicas); problem != "" {
			return fmt.Sprintf("Sentinel %d: %s", i, problem)
		}
		if s.epoch, err = strconv.ParseInt(master["config-epoch"], 10, 64); err != nil {
			return err.Error()
		}
	}
	return ""
}
