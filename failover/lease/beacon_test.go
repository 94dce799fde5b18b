// SPDX-License-Identifier: Apache-2.0

package lease

import (
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"
)

// lit is a process that shines; dark ends it, as its end does.
func lit(t *testing.T, name string) (identity string, lost <-chan struct{}, dark func()) {
	t.Helper()
	beacon, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	identity = Prefix(name, net.JoinHostPort("127.0.0.1", beacon.Port())) + "1"
	ends := make(chan struct{}, 16)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- beacon.Serve(ctx, identity, func() { ends <- struct{}{} }) }()
	dark = func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
		served <- nil
	}
	t.Cleanup(dark)
	return identity, ends, dark
}

func within(t *testing.T, what string, c <-chan struct{}) {
	t.Helper()
	select {
	case <-c:
	case <-time.After(30 * time.Second):
		t.Fatalf("%s: not in 30 s", what)
	}
}

// patient asks as a standby does, but on a machine that is much slower.
var patient = Peer{Within: 20 * time.Second}

func TestAProcessIsFoundWhileItLivesAndRefusedAfterItsEnd(t *testing.T) {
	identity, _, dark := lit(t, "leader")
	answer, conn := patient.Ask(t.Context(), identity)
	if answer != Alive {
		t.Fatalf("answer %d of a process that lives", answer)
	}
	defer conn.Close()
	select {
	case <-conn.Ended():
		t.Fatal("the connection ended while both live")
	default:
	}
	dark()
	within(t, "the end of the connection", conn.Ended())
	if answer, _ := patient.Ask(t.Context(), identity); answer != Refused {
		t.Errorf("answer %d where no process listens", answer)
	}
}

func TestAnotherProcessAtTheAddressSaysSo(t *testing.T) {
	identity, lost, _ := lit(t, "successor")
	former := Prefix("leader", Address(identity)) + "1"
	if answer, _ := patient.Ask(t.Context(), former); answer != Other {
		t.Errorf("answer %d of a process of another name", answer)
	}
	if len(lost) > 0 {
		t.Error("the end of a connection that watched another process was told")
	}
}

func TestAProcessIsToldOfTheEndOfAStandby(t *testing.T) {
	identity, lost, _ := lit(t, "leader")
	answer, conn := patient.Ask(t.Context(), identity)
	if answer != Alive {
		t.Fatalf("answer %d of a process that lives", answer)
	}
	if len(lost) > 0 {
		t.Error("told of an end before there was one")
	}
	conn.Close()
	within(t, "the word of the standby's end", lost)
}

// listens answers as something that knows nothing of leases does.
func listens(t *testing.T, answer string) (identity string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = readLine(conn)
				_, _ = io.WriteString(conn, answer)
				_ = conn.Close()
			}()
		}
	}()
	return Prefix("leader", listener.Addr().String()) + "1"
}

func TestWhatDoesNotKnowLeasesIsAnotherProcessIfItSaysSomething(t *testing.T) {
	for answer, want := range map[string]Answer{
		"HTTP/1.1 400 Bad Request\r\n\r\n": Other,
		"":                                 Silent, // it may be a process that is ending
		strings.Repeat("x", 3*longest):     Silent,
	} {
		if got, _ := patient.Ask(t.Context(), listens(t, answer)); got != want {
			t.Errorf("answer %d to %.20q, want %d", got, answer, want)
		}
	}
}

func TestAProcessThatHangsIsSilent(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") // its kernel accepts for it
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	identity := Prefix("leader", listener.Addr().String()) + "1"
	if answer, _ := (Peer{Within: 100 * time.Millisecond}).Ask(t.Context(), identity); answer != Silent {
		t.Errorf("answer %d of a process that says nothing", answer)
	}
}
