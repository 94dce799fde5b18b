// SPDX-License-Identifier: Apache-2.0

// Command goclients is an application that uses Redis through one of Go's libraries. Its first argument names the
// application; the others are those that every program of e2e/clients takes.
package main

import (
	"fmt"
	"maps"
	"os"
	"slices"
)

// applications are the programs by name. Each runs until the process is killed.
var applications = map[string]func(*program) error{
	"go-redis":            plain(goRedisOptions{}),
	"go-redis-tuned":      plain(goRedisOptions{tuned: true}),
	"go-redis-16":         plain(goRedisOptions{lanes: 16}),
	"go-redis-pool1":      plain(goRedisOptions{poolOfOne: true}),
	"go-redis-noretry":    plain(goRedisOptions{noRetries: true}),
	"go-redis-pool1-bare": plain(goRedisOptions{poolOfOne: true, noRetries: true}),
	"go-redis-multi":      transaction,
	"go-redis-script":     script,
	"go-redis-reader":     reader,
	"go-redis-blpop":      blockingReader,
	"go-redis-subscriber": subscriber,
	"rueidis":             rueidisWriter,
	"redigo":              redigoWriter,
	"redigo-tuned":        redigoTunedWriter,
	"asynq":               jobQueue,
	"anew":                dialledAnew,
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) < 2 || applications[os.Args[1]] == nil {
		return fmt.Errorf("usage: goclients APPLICATION HOST PORT PREFIX INTERVAL START; applications: %q",
			slices.Sorted(maps.Keys(applications)))
	}
	p, err := parse(os.Args[2:])
	if err != nil {
		return err
	}
	return applications[os.Args[1]](p)
}
