package main

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// absent is an address that nobody listens at, for now.
func absent(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func TestACacheWaitsForAnAPIServerThatIsAway(t *testing.T) {
	address := absent(t)
	requests := make(chan error, 1)
	go func() {
		response, err := (&http.Client{Transport: patient{http.DefaultTransport}}).Get("http://" + address)
		if err == nil {
			err = response.Body.Close()
		}
		requests <- err
	}()
	select {
	case err := <-requests:
		t.Fatalf("it did not wait: %v", err)
	case <-time.After(2 * dialAgain):
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Skipf("somebody else took the address meanwhile: %v", err)
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

func TestWhatCannotBeRepeatedIsNotAndNobodyWaitsForLongerThanHeMeant(t *testing.T) {
	client := &http.Client{Transport: patient{http.DefaultTransport}}
	if _, err := client.Post("http://"+absent(t), "text/plain", nil); err == nil {
		t.Error("a POST to nobody was answered")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*dialAgain)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+absent(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.Do(request); err == nil || ctx.Err() == nil {
		t.Errorf("a GET to nobody ended with %v before its context did", err)
	}
}
