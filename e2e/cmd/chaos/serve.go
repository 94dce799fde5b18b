// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// serve listens, and returns a channel that is closed when the client is told to stop: by a request of /stop, or by the
// end of the context. The server itself lives as long as the program.
func serve(ctx context.Context, addr string, s streams, who *stayer) (<-chan struct{}, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	stopped := make(chan struct{})
	stop := sync.OnceFunc(func() { close(stopped) })
	context.AfterFunc(ctx, stop)
	server := &http.Server{Handler: handler(s, who, stop), ReadHeaderTimeout: 5 * time.Second}
	go func() { _ = server.Serve(listener) }()
	return stopped, nil
}

func handler(s streams, who *stayer, stop func()) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !s.ready() {
			http.Error(w, "a stream has had no write acknowledged yet", http.StatusServiceUnavailable)
		}
	})
	mux.HandleFunc("/progress", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s.progress())
	})
	mux.HandleFunc("/stay", func(w http.ResponseWriter, r *http.Request) { answer(w, who.connect(r.Context())) })
	mux.HandleFunc("/stay/write", func(w http.ResponseWriter, r *http.Request) {
		writes, err := strconv.Atoi(r.FormValue("writes"))
		if err == nil {
			err = who.send(writes)
		}
		answer(w, err)
	})
	mux.HandleFunc("/stop", func(w http.ResponseWriter, _ *http.Request) {
		stop()
		w.WriteHeader(http.StatusAccepted)
	})
	return mux
}

func answer(w http.ResponseWriter, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusConflict)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}
