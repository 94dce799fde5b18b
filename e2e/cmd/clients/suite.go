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
	"github.com/redisha/redisha/e2e/stage"
)

var key = client.ObjectKey{Namespace: "default", Name: "clients"}

// suite is one run.
type suite struct {
	flags
	logs      string
	libraries []clients.Library
	progress  io.Writer

	sandbox  *sandbox.Sandbox
	stage    *stage.Stage
	password string
	programs []*clients.Program
	report   clients.Report
	rounds   []*round // that were played
}

func (s *suite) play(ctx context.Context) error {
	defer s.end()
	if err := s.setScene(ctx); err != nil {
		return err
	}
	if err := s.startPrograms(ctx); err != nil {
		return err
	}
	faults, err := choose(s.faults)
	if err != nil {
		return err
	}
	for _, f := range faults {
		for i := range s.flags.rounds {
			if err := s.playRound(ctx, f, i+1); err != nil {
				return fmt.Errorf("%s, round %d: %w", f.name, i+1, err)
			}
		}
	}
	return s.drain(ctx)
}

// setScene starts a sandbox with the operator and a RedisHA of nothing but defaults.
func (s *suite) setScene(ctx context.Context) error {
	var err error
	s.sandbox, err = sandbox.Start(ctx, sandbox.Options{
		LogDir: filepath.Join(s.logs, "sandbox"), Progress: s.progress, ServiceLag: s.lag,
		RestartBackOff: s.backOff, RestartBackOffMax: max(s.backOff, time.Second),
	})
	if err != nil {
		return err
	}
	s.stage, err = stage.Up(ctx, s.sandbox, stage.Options{LogDir: s.logs, Progress: s.progress, ManagerArgs: s.operator})
	if err != nil {
		return err
	}
	rha := &v1alpha1.RedisHA{ObjectMeta: metav1.ObjectMeta{Namespace: key.Namespace, Name: key.Name}}
	if err := s.stage.Client.Create(ctx, rha); err != nil {
		return err
	}
	if _, err := s.settled(ctx); err != nil {
		return err
	}
	s.password, err = s.stage.Password(ctx, key)
	return err
}

// startPrograms starts an application for each library that could be had, and waits until each gets answers.
func (s *suite) startPrograms(ctx context.Context) error {
	provided, err := clients.Read()
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(s.logs, "programs.log"))
	if err != nil {
		return err
	}
	for _, l := range s.libraries {
		how := provided[l.Name]
		s.report.Libraries = append(s.report.Libraries, clients.Used{Name: l.Name, Title: l.Title, Version: how.Version, Lacking: how.Lacking})
		if how.Lacking != "" {
			continue
		}
		service := resources.MasterServiceName(key.Name)
		if l.Replicas {
			service = resources.ReplicasServiceName(key.Name)
		}
		place, err := s.place(ctx, service)
		if err != nil {
			return err
		}
		program, err := clients.Run(context.WithoutCancel(ctx), l, how, place, s.stage.Clients.Command, log)
		if err != nil {
			return err
		}
		s.programs = append(s.programs, program)
	}
	if len(s.programs) == 0 {
		return errors.New("no application could be had")
	}
	return s.answered(ctx, time.Minute)
}

func (s *suite) place(ctx context.Context, name string) (clients.Place, error) {
	service := &corev1.Service{}
	if err := s.stage.Client.Get(ctx, client.ObjectKey{Namespace: key.Namespace, Name: name}, service); err != nil {
		return clients.Place{}, err
	}
	return clients.Place{Host: service.Spec.ClusterIP, Port: strconv.Itoa(int(service.Spec.Ports[0].Port)), Password: s.password}, nil
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
	return s.stage.WaitSettled(ctx, key, nil)
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

// master connects to the master's pod.
func (s *suite) master(rha *v1alpha1.RedisHA) store {
	return store{redis.NewClient(&redis.Options{
		Addr:     net.JoinHostPort(rha.Status.Master.IP, strconv.Itoa(int(resources.RedisPort))),
		Password: s.password, Dialer: s.stage.Clients.DialContext, DisableIdentity: true, ReadTimeout: 10 * time.Second,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})}
}

func (s *suite) end() {
	for _, p := range s.programs {
		p.End()
	}
	if s.stage != nil {
		s.stage.Down()
	}
	if s.sandbox != nil {
		s.sandbox.Stop()
	}
}
