// SPDX-License-Identifier: Apache-2.0

package redisclient

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const noReplID = "0000000000000000000000000000000000000000"

func TestParseInfoReadsWhatEachServerWrites(t *testing.T) {
	cases := map[string]Info{
		"info-redis-6.2-replica.txt": {
			RunID: "3f7d3c0b6a3d2c5f6cb1a5a4c9d2e8f70a1b2c3d", Version: "6.2.14", Server: "redis", UptimeSeconds: 86400,
			Role: RoleReplica, MasterHost: "10.244.1.7", MasterPort: 6379, LinkUp: true,
			LastIO: time.Second, LinkDownFor: Unknown,
			ReplID: "8c5e1f9a4b7d2e6f0a3c5b8d1e4f7a2b9c6d3e0f", ReplID2: noReplID, SecondOffset: -1,
			Offset: 123456, AppliedOffset: 123456, Priority: 50, Keys: 1005,
			MinReplicas: Unknown, MaxLag: Unknown, AOFEnabled: true, AOFLastWriteOK: true,
		},
		"info-redis-7.0-alone.txt": {
			RunID: "7652260971a3032371adae4e8e063d1b48b0f0c4", Version: "7.0.15", Server: "redis",
			Role: RoleMaster, LastIO: Unknown, LinkDownFor: Unknown,
			ReplID: "5569507773af6e7d26dc93cfa98ef6eb97239b32", ReplID2: noReplID, SecondOffset: -1,
			Priority: Unknown, Keys: 1, MinReplicas: Unknown, MaxLag: Unknown, RDBLastSaveOK: true, AOFLastWriteOK: true,
		},
		"info-redis-8.0-syncing.txt": {
			RunID: "b1946ac92492d2347c6235b4d2611184aa11bb22", Version: "8.0.2", Server: "redis", UptimeSeconds: 2,
			Role: RoleReplica, MasterHost: "fd00::12", MasterPort: 6379, SyncInProgress: true, Loading: true,
			LastIO: Unknown, LinkDownFor: 7 * time.Second,
			ReplID: "d1e4f7a2b9c6d3e0f8c5e1f9a4b7d2e6f0a3c5b8", ReplID2: noReplID, SecondOffset: -1,
			Priority: 100, MinReplicas: Unknown, MaxLag: Unknown, RDBLastSaveOK: true, AOFLastWriteOK: true,
		},
		"info-valkey-8.1-master.txt": {
			RunID:         "0f1e2d3c4b5a69788796a5b4c3d2e1f001122334",
			Version:       "7.2.4",
			Server:        "valkey",
			ServerVersion: "8.1.3",
			UptimeSeconds: 77,
			Role:          RoleMaster,
			LastIO:        Unknown,
			LinkDownFor:   Unknown,
			ReplID:        "e0f8c5e1f9a4b7d2e6f0a3c5b8d1e4f7a2b9c6d3",
			ReplID2:       "8c5e1f9a4b7d2e6f0a3c5b8d1e4f7a2b9c6d3e0f",
			SecondOffset:  8001,
			Offset:        9014,
			AppliedOffset: 9014,
			Priority:      Unknown,
			Keys:          2,
			ConnectedReplicas: []ConnectedReplica{
				{Addr: "10.244.2.9", Port: 6379, State: "online", Offset: 9000, Lag: time.Second},
				{Addr: "fd00::7", Port: 6380, State: "wait_bgsave"},
			},
			MinReplicas:   Unknown,
			MaxLag:        Unknown,
			AOFEnabled:    true,
			RDBLastSaveOK: true,
		},
	}
	for file, want := range cases {
		for ending, text := range map[string]string{"LF": sample(t, file), "CRLF": crlf(sample(t, file))} {
			t.Run(file+" "+ending, func(t *testing.T) {
				got, err := ParseInfo(text)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		}
	}
}

func TestParseInfoRefusesWhatItCannotRead(t *testing.T) {
	cases := map[string]struct{ text, want string }{
		"nothing":            {"", "names no role"},
		"only one section":   {"redis_version:7.0.15\r\n", "names no role"},
		"a sentinel":         {"role:sentinel\r\n", `field "role"`},
		"a broken offset":    {"role:master\r\nmaster_repl_offset:12x\r\n", `field "master_repl_offset"`},
		"an overlong offset": {"role:master\r\nmaster_repl_offset:99999999999999999999\r\n", `field "master_repl_offset"`},
		"a broken replica":   {"role:master\r\nslave0:ip=10.0.0.1,port=,state=online,offset=1,lag=0\r\n", `field "slave0"`},
		"a broken keyspace":  {"role:master\r\ndb0:expires=0\r\n", `field "db0"`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := ParseInfo(tc.text)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one about %s", err, tc.want)
			}
		})
	}
}

func TestParseInfoGivesAMasterNothingOfAReplica(t *testing.T) {
	got, err := ParseInfo(
		"master_link_status:up\r\nmaster_host:x\r\nslave_repl_offset:7\r\nmaster_repl_offset:5\r\nrole:master\r\n",
	)
	if err != nil {
		t.Fatal(err)
	}
	if got.LinkUp || got.MasterHost != "" || got.AppliedOffset != 5 {
		t.Errorf("%+v", got)
	}
}

// FuzzParseInfo: no reply makes the parser panic, and what it accepts is consistent and does not depend on line ends.
func FuzzParseInfo(f *testing.F) {
	files, err := filepath.Glob("testdata/info-*.txt")
	if err != nil || len(files) == 0 {
		f.Fatalf("no samples: %v", err)
	}
	for _, file := range files {
		f.Add(sample(f, filepath.Base(file)))
	}
	f.Fuzz(func(t *testing.T, text string) {
		info, err := ParseInfo(text)
		if err != nil {
			if diff := cmp.Diff(Info{}, info); diff != "" {
				t.Errorf("an Info beside an error:\n%s", diff)
			}
			return
		}
		checkConsistent(t, info)
		if strings.Contains(text, "\r") {
			return
		}
		if again, err := ParseInfo(crlf(text)); err != nil || !cmp.Equal(info, again) {
			t.Errorf("with CRLF: %v %s", err, cmp.Diff(info, again))
		}
	})
}

func checkConsistent(t *testing.T, info Info) {
	t.Helper()
	if info.Role != RoleMaster && info.Role != RoleReplica {
		t.Errorf("role %q", info.Role)
	}
	if info.LastIO < Unknown || info.LinkDownFor < Unknown || info.AppliedOffset > info.Offset {
		t.Errorf("%+v", info)
	}
}

func TestParseClientListSkipsWhatHasNoID(t *testing.T) {
	got := parseClientList("id=3 addr=127.0.0.1:1 name=redisha-a age=8\nname=ghost\n\nid=x name=y\nid=12 name= db=0\n")
	want := []listedClient{{id: 3, name: "redisha-a"}, {id: 12}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(listedClient{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func sample(t testing.TB, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func crlf(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") }
