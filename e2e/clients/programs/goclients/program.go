// SPDX-License-Identifier: Apache-2.0

package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// afterError is how long an application waits after an error before it goes on with the same client.
const afterError = 20 * time.Millisecond

// program is what every application is told.
type program struct {
	addr, password string
	tls            *tls.Config   // nil in clear
	prefix         string        // of every key, channel and queue
	interval       time.Duration // between two writes
	start          int64         // the first number
}

func parse(args []string) (*program, error) {
	if len(args) != 5 {
		return nil, errors.New("want HOST PORT PREFIX INTERVAL START")
	}
	interval, err := strconv.Atoi(args[3])
	if err != nil {
		return nil, fmt.Errorf("interval: %w", err)
	}
	start, err := strconv.ParseInt(args[4], 10, 64)
	if err != nil {
		return nil, fmt.Errorf("start: %w", err)
	}
	encrypted, err := encryption(os.Getenv("REDIS_CA"), os.Getenv("REDIS_SERVER_NAME"))
	if err != nil {
		return nil, err
	}
	return &program{
		tls: encrypted, addr: net.JoinHostPort(args[0], args[1]), password: os.Getenv("REDIS_PASSWORD"), prefix: args[2],
		interval: time.Duration(interval) * time.Millisecond, start: start,
	}, nil
}

// encryption trusts an authority and verifies a name; nil without an authority's file.
func encryption(authority, name string) (*tls.Config, error) {
	if authority == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(authority)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("no certificate in " + authority)
	}
	return &tls.Config{RootCAs: roots, ServerName: name, MinVersion: tls.VersionTLS12}, nil
}

func (p *program) key(n int64) string { return p.prefix + ":" + strconv.FormatInt(n, 10) }

// Each line is one write to the standard output, so that lines of several goroutines do not mix.

// accepted tells that Redis has acknowledged number n.
func accepted(n int64) { fmt.Printf("A %d %d\n", time.Now().UnixMilli(), n) }

// done tells that number n has arrived: a job has run, an item was popped, a message came.
func done(n int64) { fmt.Printf("D %d %d\n", time.Now().UnixMilli(), n) }

func failed(n int64, err error) {
	fmt.Printf("E %d %d %s\n", time.Now().UnixMilli(), n, strings.Join(strings.Fields(err.Error()), " "))
}

// write calls do with growing numbers from that many goroutines and never returns. A goroutine's numbers are as many
// apart as there are goroutines.
func (p *program) write(lanes int64, do func(n int64) error) error {
	for lane := range lanes {
		go p.lane(p.start+lane, lanes, do, func() bool { return true })
	}
	select {}
}

// produce is write with one goroutine until SIGUSR2 comes. Only producing ends then.
func (p *program) produce(do func(n int64) error) {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGUSR2)
	var stopped atomic.Bool
	go func() {
		<-stop
		stopped.Store(true)
	}()
	p.lane(p.start, 1, do, func() bool { return !stopped.Load() })
}

func (p *program) lane(n, step int64, do func(n int64) error, goOn func() bool) {
	for ; goOn(); n += step {
		if err := do(n); err != nil {
			failed(n, err)
			time.Sleep(afterError)
			continue
		}
		accepted(n)
		time.Sleep(p.interval)
	}
}
