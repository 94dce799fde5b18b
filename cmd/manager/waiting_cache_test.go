// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// absent is an address that nothing listens at, for now.
func absent(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func send(ctx context.Context, method, address string) error {
	request, err := http.NewRequestWithContext(ctx, method, "http://"+address, nil)
	if err != nil {
		return err
	}
	response, err := (&http.Client{Transport: untilReached{http.DefaultTransport}}).Do(request)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

func TestACacheWaitsForAnAPIServerThatIsAway(t *testing.T) {
	address := absent(t)
	requests := make(chan error, 1)
	go func() { requests <- send(t.Context(), http.MethodGet, address) }()
	select {
	case err := <-requests:
		t.Fatalf("it did not wait: %v", err)
	case <-time.After(2 * dialAgain):
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Skipf("another process took the address meanwhile: %v", err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.NotFoundHandler()}}
	server.Start()
	defer server.Close()
	select {
	case err := <-requests:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("it waits though the server is there")
	}
}

func TestWhatCannotBeRepeatedIsNotAndNoCallWaitsForLongerThanItMeant(t *testing.T) {
	if err := send(t.Context(), http.MethodPost, absent(t)); err == nil {
		t.Error("a POST to an address that nothing listens at was answered")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*dialAgain)
	defer cancel()
	if err := send(ctx, http.MethodGet, absent(t)); err == nil || ctx.Err() == nil {
		t.Errorf("a GET to an address that nothing listens at ended with %v before its context did", err)
	}
}
