// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Place is where a program connects to.
type Place struct {
	Host, Port, Password string
	// CA is the file of an authority, and ServerName what its certificate is to be for; empty in clear.
	CA, ServerName string
}

// environment is what a program is told that is not for others' eyes, or not always there.
func (p Place) environment() []string {
	env := []string{"REDIS_PASSWORD=" + p.Password}
	if p.CA != "" {
		env = append(env, "REDIS_CA="+p.CA, "REDIS_SERVER_NAME="+p.ServerName)
	}
	return env
}

// Launch prepares a process, in whatever network it is to run.
type Launch func(ctx context.Context, path string, args ...string) *exec.Cmd

// Application is a library at work, wherever it runs, and what it has told.
type Application struct {
	Library
	Record *Record
	// Prefix begins all that it has in Redis; no other application has the same.
	Prefix string
}

// NewApplication returns an application that has told nothing yet.
func NewApplication(l Library, prefix string) Application {
	return Application{Library: l, Record: NewRecord(l), Prefix: prefix}
}

// arguments are what its program is told.
func (a *Application) arguments(place Place, start int64) []string {
	return []string{place.Host, place.Port, a.Prefix, strconv.Itoa(a.Interval), strconv.FormatInt(start, 10)}
}

// Program is an application that runs as a process here.
type Program struct {
	Application

	place  Place
	launch Launch
	how    Provided
	log    io.Writer
	cmd    *exec.Cmd
	ended  chan struct{}
}

// Run starts an application and returns at once. What it prints beside the protocol goes to the log.
func Run(ctx context.Context, l Library, how Provided, place Place, launch Launch, log io.Writer) (*Program, error) {
	p := &Program{Application: NewApplication(l, "clients-"+l.Name), place: place, launch: launch, how: how, log: log}
	return p, p.begin(ctx, 0)
}

func (p *Program) begin(ctx context.Context, start int64) error {
	args := slices.Concat(p.how.Argv, p.arguments(p.place, start))
	p.cmd = p.launch(ctx, args[0], args[1:]...)
	p.cmd.Env = slices.Concat(os.Environ(), p.how.Env, p.place.environment())
	p.cmd.Stderr = p.log
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := p.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	cmd, ended := p.cmd, make(chan struct{})
	p.ended = ended
	go func() {
		defer close(ended)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			p.Record.Note(lines.Text())
			if !strings.HasPrefix(lines.Text(), "A ") && !strings.HasPrefix(lines.Text(), "D ") {
				fmt.Fprintln(p.log, p.Name, lines.Text())
			}
		}
		_ = cmd.Wait()
	}()
	return nil
}

// Restart ends the process and starts another one, with numbers that were not used yet.
func (p *Program) Restart(ctx context.Context) error {
	p.End()
	return p.begin(ctx, p.Record.start())
}

// Failed returns why the process has ended by itself, nil while it runs.
func (p *Program) Failed() error {
	select {
	case <-p.ended:
		words := strings.TrimSpace(p.Record.lastWords())
		return errors.Join(fmt.Errorf("%s has ended: %s", p.Name, p.cmd.ProcessState), errors.New(words))
	default:
		return nil
	}
}

// StopProducing lets a program that also consumes do only that from now on.
func (p *Program) StopProducing() {
	if p.Role == Queue {
		_ = p.cmd.Process.Signal(syscall.SIGUSR2)
	}
}

// End kills the process and returns when it is gone.
func (p *Program) End() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}
