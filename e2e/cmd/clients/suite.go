// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/resources"
	"github.com/redisha/redisha/e2e/clients"
	"github.com/redisha/redisha/e2e/sandbox"
	"github.com/redisha/redisha/e2e/testbed"
)

var key = client.ObjectKey{Namespace: "default", Name: "clients"}

// suite is one run.
type suite struct {
	flags
	logs      string
	libraries []clients.Library
	progress  io.Writer

	sandbox  *sandbox.Sandbox
	bed      *testbed.Testbed
	password string
	// How this process connects, and the file by which the programs verify Redis; nil and empty in clear.
	encrypted testbed.Dialer
	authority string
	report    clients.Report
	played    map[string]int // rounds of each fault

	// Of the group that writes:
	programs []*clients.Program
	rounds   []*round // that were played
}

// application is a library, and how it is run.
type application struct {
	clients.Library
	how clients.Provided
}

func (s *suite) measure(ctx context.Context) error {
	defer s.end()
	if err := s.setUp(ctx); err != nil {
		return err
	}
	faults, err := choose(s.faults)
	if err != nil {
		return err
	}
	had, err := s.had()
	if err != nil {
		return err
	}
	for _, group := range grouped(had, s.writers) {
		if err := s.playGroup(ctx, group, faults); err != nil {
			return err
		}
	}
	return nil
}

// had are the applications that can be had; those that cannot are in the report.
func (s *suite) had() ([]application, error) {
	provided, err := clients.Read()
	if err != nil {
		return nil, err
	}
	var had []application
	for _, l := range s.libraries {
		how := provided[l.Name]
		if s.flags.tls && strings.HasPrefix(l.Name, "hiredis") && how.Lacking == "" {
			how.Lacking = "TLS: Debian's package of hiredis is built without"
		}
		s.report.Libraries = append(
			s.report.Libraries, clients.Used{Name: l.Name, Title: l.Title, Version: how.Version, Lacking: how.Lacking},
		)
		if how.Lacking == "" {
			had = append(had, application{l, how})
		}
	}
	if len(had) == 0 {
		return nil, errors.New("no application could be had")
	}
	return had, nil
}

// grouped divides applications into groups with at most so many writers each; one that has more is a group of its own.
func grouped(all []application, writers int) [][]application {
	var groups [][]application
	room := int64(0)
	for _, a := range all {
		if a.Lanes > room {
			groups, room = append(groups, nil), int64(writers)
		}
		groups[len(groups)-1] = append(groups[len(groups)-1], a)
		room = max(room-a.Lanes, 0)
	}
	return groups
}

// playGroup lets every fault happen to applications that write at the same time.
func (s *suite) playGroup(ctx context.Context, group []application, faults []fault) error {
	log, err := os.OpenFile(filepath.Join(s.logs, "programs.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	defer s.endPrograms()
	if err := s.startPrograms(ctx, group, log); err != nil {
		return err
	}
	for _, f := range faults {
		for range s.flags.rounds {
			s.played[f.name]++
			if err := s.playRound(ctx, f, s.played[f.name]); err != nil {
				return fmt.Errorf("%s, round %d: %w", f.name, s.played[f.name], err)
			}
		}
	}
	return s.drain(ctx)
}

// setUp starts a sandbox with the operator and a RedisHA of nothing but defaults.
func (s *suite) setUp(ctx context.Context) error {
	var err error
	s.sandbox, err = sandbox.Start(ctx, sandbox.Options{
		LogDir: filepath.Join(s.logs, "sandbox"), Progress: s.progress, ServiceLag: s.lag,
		RestartBackOff: s.backOff, RestartBackOffMax: max(s.backOff, time.Second),
	})
	if err != nil {
		return err
	}
	s.bed, err = testbed.Up(ctx, s.sandbox, testbed.Options{LogDir: s.logs, Progress: s.progress, ManagerArgs: s.operator})
	if err != nil {
		return err
	}
	rha := &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}
	if s.flags.tls {
		rha.Spec.TLS = &v1alpha1.TLSSpec{}
	}
	if err := s.bed.Client.Create(ctx, rha); err != nil {
		return err
	}
	if _, err := s.settled(ctx); err != nil {
		return err
	}
	if s.password, err = s.bed.Password(ctx, key); err != nil || !s.flags.tls {
		return err
	}
	return s.trust(ctx)
}

// trust writes the authority's certificate where the programs read it.
func (s *suite) trust(ctx context.Context) error {
	made, err := s.bed.GeneratedCA(ctx, key)
	if err != nil {
		return err
	}
	s.authority = filepath.Join(s.logs, "ca.crt")
	s.encrypted = s.bed.Encrypted(key, testbed.Trusting(made))
	return os.WriteFile(s.authority, made, 0o644)
}

func serverName(service string) string { return service + "." + key.Namespace + ".svc" }

// startPrograms starts applications, and waits until each gets answers.
func (s *suite) startPrograms(ctx context.Context, group []application, log *os.File) error {
	for _, a := range group {
		service := resources.MasterServiceName(key.Name)
		if a.Replicas {
			service = resources.ReplicasServiceName(key.Name)
		}
		place, err := s.place(ctx, service)
		if err != nil {
			return err
		}
		program, err := clients.Run(context.WithoutCancel(ctx), a.Library, a.how, place, s.bed.Clients.Command, log)
		if err != nil {
			return err
		}
		s.programs = append(s.programs, program)
	}
	return s.answered(ctx, time.Minute)
}

func (s *suite) place(ctx context.Context, name string) (clients.Place, error) {
	service := &corev1.Service{}
	if err := s.bed.Client.Get(ctx, client.ObjectKey{Namespace: key.Namespace, Name: name}, service); err != nil {
		return clients.Place{}, err
	}
	place := clients.Place{
		Host:     service.Spec.ClusterIP,
		Port:     strconv.Itoa(int(service.Spec.Ports[0].Port)),
		Password: s.password,
	}
	if s.encrypted != nil {
		place.CA, place.ServerName = s.authority, serverName(name)
	}
	return place, nil
}

// answered waits until every application gets answers.
func (s *suite) answered(ctx context.Context, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	began := time.Now()
	silent := ""
	err := sandbox.WaitFor(ctx, "answers to every application", func(context.Context) (bool, error) {
		silent = ""
		for _, p := range s.programs {
			if err := p.Failed(); err != nil {
				return false, err
			}
			if p.Record.Silent(began) {
				silent += " " + p.Name
			}
		}
		return silent == "", nil
	})
	if err != nil {
		return fmt.Errorf("%w (none to%s)", err, silent)
	}
	return nil
}

// settled waits until all is well with the RedisHA.
func (s *suite) settled(ctx context.Context) (*v1alpha1.RedisHA, error) {
	ctx, cancel := context.WithTimeout(ctx, 4*time.Minute)
	defer cancel()
	return s.bed.WaitSettled(ctx, key, nil)
}

// store is the master's Redis.
type store struct{ *redis.Client }

// Get reads keys.
func (s store) Get(ctx context.Context, keys []string) ([]string, error) {
	found, err := s.MGet(ctx, keys...).Result()
	values := make([]string, len(found))
	for i := range found {
		values[i], _ = found[i].(string)
	}
	return values, err
}

// Delete deletes keys.
func (s store) Delete(ctx context.Context, keys []string) error { return s.Unlink(ctx, keys...).Err() }

// master connects to the master's pod from where the applications run.
func (s *suite) master(rha *v1alpha1.RedisHA) store {
	port, dial := resources.RedisPort, s.bed.Clients.DialContext
	if s.encrypted != nil {
		port, dial = resources.RedisTLSPort, s.encrypted
	}
	return store{redis.NewClient(&redis.Options{
		Addr:                     net.JoinHostPort(rha.Status.Master.IP, strconv.Itoa(int(port))),
		Password:                 s.password,
		Dialer:                   dial,
		DisableIdentity:          true,
		ReadTimeout:              10 * time.Second,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})}
}

func (s *suite) endPrograms() {
	for _, p := range s.programs {
		p.End()
	}
	s.programs, s.rounds = nil, nil
}

func (s *suite) end() {
	if s.bed != nil {
		s.bed.Down()
	}
	if s.sandbox != nil {
		s.sandbox.Stop()
	}
}
