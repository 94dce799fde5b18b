// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/alicebob/miniredis/v2/server"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"
	"k8s.io/utils/ptr"

	"github.com/redisha/redisha/e2e/chaos"
)

// master is a Redis that says that it is master and that one replica confirms everything.
func master(t *testing.T) *miniredis.Miniredis {
	t.Helper()
	m := miniredis.RunT(t)
	err := m.Server().Register("ROLE", func(peer *server.Peer, _ string, _ []string) {
		peer.WriteLen(1)
		peer.WriteBulk("master")
	})
	if err != nil {
		t.Fatal(err)
	}
	m.Server().SetPreHook(func(peer *server.Peer, command string, _ ...string) bool {
		if command != "WAIT" {
			return false
		}
		peer.WriteInt(1)
		return true
	})
	return m
}

// published is an API server that knows the master by its Service and by its EndpointSlice.
func published(m *miniredis.Miniredis) *fake.Clientset {
	port := int32(m.Server().Addr().Port)
	return fake.NewClientset(
		&corev1.Service{
			ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "cache-master"},
			Spec:       corev1.ServiceSpec{ClusterIP: m.Host(), Ports: []corev1.ServicePort{{Port: port}}},
		},
		&discoveryv1.EndpointSlice{
			ObjectMeta: metav1.ObjectMeta{
				Namespace: "shop",
				Name:      "cache-master",
				Labels:    map[string]string{discoveryv1.LabelServiceName: "cache-master"},
			},
			Ports:     []discoveryv1.EndpointPort{{Port: ptr.To(port)}},
			Endpoints: []discoveryv1.Endpoint{{Addresses: []string{m.Host()}}},
		},
	)
}

func options4(t *testing.T) options {
	t.Helper()
	o, err := parse([]string{"--namespace=shop"})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func TestEveryStreamWritesUntilToldToStopAndAnswersForItsWrites(t *testing.T) {
	m := master(t)
	s, err := open(t.Context(), published(m), options4(t), "")
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	told := make(chan struct{})
	who := &stayer{kube: published(m), options: options4(t)}
	defer who.close()
	h := handler(s, who, func() { close(told) })
	for deadline := time.Now().Add(20 * time.Second); get(h, "/readyz").Code != http.StatusOK; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not ready: %s", get(h, "/progress").Body)
		}
	}
	if code := get(h, "/stay/write?writes=5").Code; code != http.StatusConflict {
		t.Errorf("status %d of writes by a client that was not asked to stay", code)
	}
	for _, path := range []string{"/stay", "/stay/write?writes=5", "/stop"} {
		if got := get(h, path); got.Code != http.StatusAccepted {
			t.Errorf("%s: %d %s", path, got.Code, got.Body)
		}
	}
	<-told
	var out bytes.Buffer
	if err := finish(s, who, 10*time.Second, &out); err != nil {
		t.Fatal(err)
	}
	var result chaos.Result
	if err := json.Unmarshal(out.Bytes(), &result); err != nil {
		t.Fatal(err)
	}
	if result.Stayed == nil || result.Stayed.Sent != 5 || result.Stayed.Acked != 5 || result.Stayed.Lost != 0 {
		t.Errorf("%+v (%s), want five writes by the client that stayed, and none lost", result.Stayed, result.Unheard)
	}
	if len(result.Streams) != 4 {
		t.Fatalf("%d streams, want 4", len(result.Streams))
	}
	for _, r := range result.Streams {
		if r.Acked == 0 || r.Lost != 0 || r.Unverified != "" {
			t.Errorf("%+v, want writes and none of them lost", r)
		}
	}
	if waits := result.Streams[1].Wait + result.Streams[3].Wait; waits != 2 {
		t.Errorf("%+v, want every other stream to ask for a replica's word", result.Streams)
	}
}

func TestTheClientIsNotReadyBeforeAWriteIsAcknowledged(t *testing.T) {
	m := master(t)
	m.SetError("LOADING Redis is loading the dataset in memory")
	s, err := open(t.Context(), published(m), options4(t), "")
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	h := handler(s, &stayer{}, func() {})
	if code := get(h, "/readyz").Code; code != http.StatusServiceUnavailable {
		t.Errorf("status %d", code)
	}
	var progress chaos.Progress
	if err := json.Unmarshal(get(h, "/progress").Body.Bytes(), &progress); err != nil {
		t.Fatal(err)
	}
	for _, one := range progress.Streams {
		if one.Acked != 0 {
			t.Errorf("%+v, and Redis refuses everything", one)
		}
	}
}

func TestWritesThatCannotBeLookedUpAreAFailure(t *testing.T) {
	m := master(t)
	s, err := open(t.Context(), published(m), options4(t), "")
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	m.Close()
	var out bytes.Buffer
	if err := finish(s, &stayer{}, 200*time.Millisecond, &out); err == nil {
		t.Error("no writer was asked, and all is said to be well")
	}
	var result chaos.Result
	if err := json.Unmarshal(
		out.Bytes(), &result,
	); err != nil || len(result.Streams) != 4 ||
		result.Streams[0].Unverified == "" {
		t.Errorf("printed %s (%v), want four streams that could not be verified", out.Bytes(), err)
	}
}

func TestTheEndOfTheContextStopsTheClient(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	stopped, err := serve(ctx, "127.0.0.1:0", nil, &stayer{})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	select {
	case <-stopped:
	case <-time.After(20 * time.Second):
		t.Error("it writes on")
	}
}

func TestAStreamThatIsNoneIsRefused(t *testing.T) {
	for _, name := range []string{"service", "service/twice", "dns/plain", "sentinel/plain", ""} {
		o := options4(t)
		o.streams = name
		if s, err := open(t.Context(), published(master(t)), o, ""); err == nil {
			s.close()
			t.Errorf("stream %q was taken", name)
		}
	}
}

func get(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}
