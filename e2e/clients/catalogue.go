// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"fmt"
	"slices"
	"strings"
)

// Role is what an application does with Redis. It says what is measured and what is looked up.
type Role string

// What an application does.
const (
	Writer     Role = "writer"     // writes keys, and each has to be there afterwards
	Reader     Role = "reader"     // reads
	Subscriber Role = "subscriber" // gets messages; Redis does not promise that all of them arrive
	Queue      Role = "queue"      // accepts numbers, and each has to arrive
)

// Library is one application.
type Library struct {
	// Name is what tables and selections call it.
	Name string
	// Title is the library, as its package manager calls it, and what is not its default.
	Title string
	Role  Role
	// Replicas: it connects to the replicas' Service, not to the master's.
	Replicas bool
	// Lanes is how many goroutines write, each with numbers of its own.
	Lanes int64
	// Interval is the time between two writes of a lane, in milliseconds.
	Interval int
	// Arrivals: what counts for the gap is what arrives, not what is acknowledged.
	Arrivals bool

	runtime string // one of the runtimes
	program string // its file or its first argument
	module  string // what the runtime knows the version of
	tuned   bool
}

// Catalogue returns all applications: plain writers first, tuned ones last.
func Catalogue() []Library {
	all := slices.Concat(goWriters(), otherWriters(), roles(), applications(), tuned(), yardstick())
	for i := range all {
		l := &all[i]
		l.Lanes = max(l.Lanes, 1)
		if l.Role == "" {
			l.Role = Writer
		}
		if l.Interval == 0 {
			l.Interval = 20
		}
		if l.program == "" {
			l.program = l.Name
		}
	}
	return all
}

const (
	goRedis = "github.com/redis/go-redis/v9"
	rueidis = "github.com/redis/rueidis"
	redigo  = "github.com/gomodule/redigo"
	asynq   = "github.com/hibiken/asynq"
)

func goWriters() []Library {
	return []Library{
		{Name: "go-redis", Title: "go-redis", runtime: "go", module: goRedis},
		{Name: "go-redis-16", Title: "go-redis, 16 goroutines", Lanes: 16, runtime: "go", module: goRedis},
		{Name: "go-redis-pool1", Title: "go-redis, a pool of one", runtime: "go", module: goRedis},
		{Name: "go-redis-noretry", Title: "go-redis, no retries", runtime: "go", module: goRedis},
		{Name: "go-redis-pool1-bare", Title: "go-redis, a pool of one and no retries", runtime: "go", module: goRedis},
		{Name: "rueidis", Title: "rueidis", runtime: "go", module: rueidis},
		{Name: "redigo", Title: "redigo, its pool", runtime: "go", module: redigo},
	}
}

func otherWriters() []Library {
	return []Library{
		{Name: "ioredis", Title: "ioredis (Node)", runtime: "node", module: "ioredis"},
		{Name: "node-redis", Title: "redis (Node)", runtime: "node", module: "redis"},
		{Name: "redis-py", Title: "redis-py (Python)", runtime: "python"},
		{Name: "phpredis", Title: "phpredis (PHP)", runtime: "php"},
		{Name: "redis-rb", Title: "redis-rb (Ruby)", runtime: "ruby"},
		{Name: "hiredis", Title: "hiredis (C)", runtime: "c"},
		{Name: "jedis", Title: "Jedis (Java)", runtime: "java"},
	}
}

func roles() []Library {
	return []Library{
		{Name: "go-redis-multi", Title: "go-redis, MULTI and EXEC", Interval: 20, runtime: "go", module: goRedis},
		{Name: "go-redis-script", Title: "go-redis, a script", Interval: 20, runtime: "go", module: goRedis},
		{
			Name: "go-redis-reader", Title: "go-redis, reads from replicas", Role: Reader, Replicas: true, Interval: 20,
			runtime: "go", module: goRedis,
		},
		{
			Name:     "go-redis-blpop",
			Title:    "go-redis, BLPOP",
			Role:     Queue,
			Arrivals: true,
			Interval: 20,
			runtime:  "go",
			module:   goRedis,
		},
		{
			Name: "go-redis-subscriber", Title: "go-redis, SUBSCRIBE", Role: Subscriber, Arrivals: true, Interval: 20,
			runtime: "go", module: goRedis,
		},
		{
			Name:     "ioredis-blpop",
			Title:    "ioredis, BLPOP",
			Role:     Queue,
			Arrivals: true,
			Interval: 20,
			runtime:  "node",
			module:   "ioredis",
		},
		{
			Name: "ioredis-subscriber", Title: "ioredis, SUBSCRIBE", Role: Subscriber, Arrivals: true, Interval: 20,
			runtime: "node", module: "ioredis",
		},
	}
}

func applications() []Library {
	return []Library{
		// Its server looks once a second for jobs when it has run out of them, so what counts is that jobs are accepted.
		{Name: "asynq", Title: "asynq, a job queue in Go", Role: Queue, Interval: 50, runtime: "go", module: asynq},
		{
			Name: "bullmq", Title: "BullMQ, a job queue in Node", Role: Queue, Arrivals: true, Interval: 50,
			runtime: "node", module: "bullmq",
		},
	}
}

func tuned() []Library {
	return []Library{
		{Name: "go-redis-tuned", Title: "go-redis, timeouts of 500 ms", runtime: "go", module: goRedis},
		{Name: "redigo-tuned", Title: "redigo, timeouts of 500 ms", runtime: "go", module: redigo},
		{
			Name: "ioredis-tuned", Title: "ioredis, socketTimeout 500 ms, reconnectOnError",
			runtime: "node", module: "ioredis", program: "ioredis", tuned: true,
		},
		{
			Name: "node-redis-tuned", Title: "redis (Node), socketTimeout 500 ms, reconnectStrategy",
			runtime: "node", module: "redis", program: "node-redis", tuned: true,
		},
		{Name: "redis-py-tuned", Title: "redis-py, timeouts of 500 ms", runtime: "python", program: "redis-py", tuned: true},
		{Name: "phpredis-tuned", Title: "phpredis, timeouts of 500 ms", runtime: "php", program: "phpredis", tuned: true},
		{Name: "redis-rb-tuned", Title: "redis-rb, timeouts of 500 ms", runtime: "ruby", program: "redis-rb", tuned: true},
		{Name: "hiredis-tuned", Title: "hiredis, timeouts of 500 ms", runtime: "c", program: "hiredis", tuned: true},
	}
}

// yardstick is no application: its gap is the time until the Service leads to a master that takes writes.
func yardstick() []Library {
	return []Library{{Name: "anew", Title: "a connection for each write", runtime: "go", module: redigo}}
}

// Select returns the applications with these names, comma-separated and in the catalogue's order. "default" stands for
// those with the settings that the libraries have by themselves, "tuned" for the others, "all" for both.
func Select(names string) ([]Library, error) {
	wanted := map[string]bool{}
	for name := range strings.SplitSeq(names, ",") {
		wanted[strings.TrimSpace(name)] = true
	}
	var selected []Library
	for _, l := range Catalogue() {
		group := "default"
		switch {
		case strings.HasSuffix(l.Name, "-tuned"):
			group = "tuned"
		case l.Name == "anew":
			group = "all"
		}
		if wanted[l.Name] || wanted[group] || wanted["all"] {
			selected = append(selected, l)
		}
		delete(wanted, l.Name)
	}
	for _, group := range []string{"default", "tuned", "all"} {
		delete(wanted, group)
	}
	for name := range wanted {
		return nil, fmt.Errorf("no application is called %q", name)
	}
	return selected, nil
}
