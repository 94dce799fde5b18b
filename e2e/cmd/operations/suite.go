// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/e2e/chaos"
	"github.com/redisha/redisha/e2e/checks"
	"github.com/redisha/redisha/e2e/sandbox"
	"github.com/redisha/redisha/e2e/testbed"
)

const namespace = "default"

// suite is one run.
type suite struct {
	flags
	logs     string
	progress io.Writer

	sandbox    *sandbox.Sandbox
	bed        *testbed.Testbed
	kubeconfig string // for kubectl
	commit     string // that is played
	report     report
}

func (s *suite) measure(ctx context.Context) error {
	defer s.end()
	chosen, err := choose(s.operations, s.tls)
	if err != nil {
		return err
	}
	if err := s.setUp(ctx); err != nil {
		return err
	}
	for _, p := range chosen {
		if err := s.play(ctx, p); err != nil {
			return fmt.Errorf("%s, TLS %s: %w", p.name, p.column, err)
		}
	}
	return nil
}

func (s *suite) setUp(ctx context.Context) error {
	s.commit = checks.Commit() // another may be checked out by the end
	var err error
	s.sandbox, err = sandbox.Start(
		ctx, sandbox.Options{LogDir: filepath.Join(s.logs, "sandbox"), Progress: s.progress},
	)
	if err != nil {
		return err
	}
	s.kubeconfig = filepath.Join(s.logs, "kubeconfig")
	if err := s.sandbox.WriteKubeconfig(s.kubeconfig, sandbox.AdminUser); err != nil {
		return err
	}
	s.bed, err = testbed.Up(
		ctx, s.sandbox, testbed.Options{LogDir: s.logs, Progress: s.progress, ManagerArgs: s.operator},
	)
	return err
}

// play plays all rounds of an operation on a RedisHA of its own. A round that fails is the last one: what comes after
// it would not begin with a RedisHA that is well. The error is that of a suite that cannot go on.
func (s *suite) play(ctx context.Context, p played) error {
	one := &set{suite: s, played: p, key: client.ObjectKey{Namespace: namespace, Name: p.name + "-" + p.column}}
	defer one.remove(context.WithoutCancel(ctx))
	if err := one.create(ctx); err != nil {
		s.note(result{Operation: p.name, TLS: p.column, Failure: "it was not created: " + err.Error()})
		return ctx.Err()
	}
	for number := 1; number <= s.rounds; number++ {
		result := one.playRound(ctx, number)
		if ctx.Err() != nil {
			return ctx.Err() // what an interrupt cut off is no result
		}
		s.note(result)
		if result.Failure != "" {
			break
		}
	}
	return nil
}

func (s *suite) note(r result) {
	s.report.Results = append(s.report.Results, r)
	s.tell("%s", r)
}

// kubectl runs a command as an administrator does.
func (s *suite) kubectl(ctx context.Context, args ...string) error {
	path, err := sandbox.Kubectl(ctx, s.progress)
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+s.kubeconfig)
	if output, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, output)
	}
	return nil
}

// conclude writes the report and returns whether all was as it must be.
func (s *suite) conclude(out io.Writer) (bool, error) {
	if len(s.report.Results) == 0 {
		return false, errors.New("nothing was measured")
	}
	s.report.Setting, s.report.Client = s.setting(), ordinary(chaos.OrdinarySettings())
	s.report.LeftOut = leftOut()
	say(out, "%s\n%s\n\n%s", s.report.Setting, s.report.Client, s.report.text())
	wrong := s.report.wrong()
	for _, sentence := range wrong {
		say(out, "WRONG: %s", sentence)
	}
	text, err := s.report.json()
	return len(wrong) == 0, errors.Join(
		err, checks.Save(s.json, string(text)+"\n"), checks.Save(s.markdown, s.report.markdown()),
	)
}

// setting says where and how the numbers were taken.
func (s *suite) setting() string {
	return fmt.Sprintf(
		"%s; Redis %s, Kubernetes %s in the sandbox, RedisHA %s; %d writers, each a client of its own with a write every "+
			"%s; rounds of each operation: %d; %s.",
		checks.Machine(), checks.RedisVersion(), sandbox.KubernetesVersion(), s.commit, s.writers, interval, s.rounds,
		time.Now().UTC().Format(time.DateOnly),
	)
}

func (s *suite) end() {
	if s.bed != nil {
		s.bed.Down()
	}
	if s.sandbox != nil {
		s.sandbox.Stop()
	}
}
