// SPDX-License-Identifier: Apache-2.0

package redisclient

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ParseInfo reads the reply to INFO. It accepts any order of sections and ignores what it does not know; a field it
// does know but cannot read is an error, because a zero in its place could decide an election. MinReplicas and MaxLag
// are not part of INFO and come back Unknown.
func ParseInfo(text string) (Info, error) {
	info := Info{
		Server: "redis", SecondOffset: -1, Priority: Unknown, LastIO: Unknown, LinkDownFor: Unknown,
		MinReplicas: Unknown, MaxLag: Unknown, RDBLastSaveOK: true, AOFLastWriteOK: true,
	}
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		key, value, ok := strings.Cut(line, ":")
		if !ok || strings.HasPrefix(line, "#") {
			continue
		}
		if err := info.set(key, value); err != nil {
			return Info{}, fmt.Errorf("INFO field %q: %w", key, err)
		}
	}
	if info.Role == "" {
		return Info{}, errors.New("INFO names no role")
	}
	if info.Role == RoleMaster {
		info.asMaster()
	}
	// Redis says 1 of a replica that never followed anyone, which would put an empty node ahead of one at 0.
	info.AppliedOffset = min(info.AppliedOffset, info.Offset)
	return info, nil
}

// asMaster settles what only a replica reports, whatever the text contained.
func (i *Info) asMaster() {
	i.AppliedOffset, i.Priority = i.Offset, Unknown
	i.MasterHost, i.MasterPort, i.LinkUp, i.SyncInProgress = "", 0, false, false
	i.LastIO, i.LinkDownFor = Unknown, Unknown
}

func (i *Info) set(key, value string) error {
	if field, ok := infoFields[key]; ok {
		return field(i, value)
	}
	switch {
	case numbered(key, "db"):
		return i.addKeyspace(value)
	case numbered(key, "slave"), numbered(key, "replica"):
		return i.addReplica(value)
	default:
		return nil
	}
}

type infoField func(*Info, string) error

var infoFields = map[string]infoField{
	"run_id":                         text(func(i *Info) *string { return &i.RunID }),
	"redis_version":                  text(func(i *Info) *string { return &i.Version }),
	"server_name":                    text(func(i *Info) *string { return &i.Server }),
	"valkey_version":                 text(func(i *Info) *string { return &i.ServerVersion }),
	"uptime_in_seconds":              integer(func(i *Info) *int64 { return &i.UptimeSeconds }),
	"role":                           (*Info).setRole,
	"master_host":                    text(func(i *Info) *string { return &i.MasterHost }),
	"master_port":                    small(func(i *Info) *int { return &i.MasterPort }),
	"master_link_status":             is("up", func(i *Info) *bool { return &i.LinkUp }),
	"master_last_io_seconds_ago":     seconds(func(i *Info) *time.Duration { return &i.LastIO }),
	"master_link_down_since_seconds": seconds(func(i *Info) *time.Duration { return &i.LinkDownFor }),
	"master_sync_in_progress":        is("1", func(i *Info) *bool { return &i.SyncInProgress }),
	"loading":                        loading,
	"async_loading":                  loading,
	"master_replid":                  text(func(i *Info) *string { return &i.ReplID }),
	"master_replid2":                 text(func(i *Info) *string { return &i.ReplID2 }),
	"second_repl_offset":             integer(func(i *Info) *int64 { return &i.SecondOffset }),
	"master_repl_offset":             integer(func(i *Info) *int64 { return &i.Offset }),
	"slave_repl_offset":              integer(func(i *Info) *int64 { return &i.AppliedOffset }),
	"replica_repl_offset":            integer(func(i *Info) *int64 { return &i.AppliedOffset }),
	"slave_priority":                 small(func(i *Info) *int { return &i.Priority }),
	"replica_priority":               small(func(i *Info) *int { return &i.Priority }),
	"errorstat_READONLY":             errorCount(func(i *Info) *int64 { return &i.RefusedWrites }),
	"errorstat_OOM":                  errorCount(func(i *Info) *int64 { return &i.OutOfMemory }),
	"rejected_connections":           integer(func(i *Info) *int64 { return &i.RejectedConnections }),
	"aof_enabled":                    is("1", func(i *Info) *bool { return &i.AOFEnabled }),
	"rdb_last_bgsave_status":         is("ok", func(i *Info) *bool { return &i.RDBLastSaveOK }),
	"aof_last_write_status":          is("ok", func(i *Info) *bool { return &i.AOFLastWriteOK }),
}

// maxText bounds a name: a run ID, a replication ID, an address. They go into the status.
const maxText = 256

func text(at func(*Info) *string) infoField {
	return func(i *Info, v string) error {
		printable := strings.IndexFunc(v, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
		if len(v) > maxText || !printable {
			return errors.New("is no name")
		}
		*at(i) = v
		return nil
	}
}

func is(want string, at func(*Info) *bool) infoField {
	return func(i *Info, v string) error { *at(i) = v == want; return nil }
}

func integer(at func(*Info) *int64) infoField {
	return func(i *Info, v string) (err error) { *at(i), err = parseCount(v); return err }
}

func small(at func(*Info) *int) infoField {
	return func(i *Info, v string) error {
		n, err := strconv.ParseInt(v, 10, 32)
		*at(i) = int(n)
		return err
	}
}

// parseCount reads a count, or -1 for none.
func parseCount(v string) (int64, error) {
	n, err := strconv.ParseInt(v, 10, 64)
	if err == nil && n < -1 {
		err = fmt.Errorf("%d is no count", n)
	}
	return n, err
}

func seconds(at func(*Info) *time.Duration) infoField {
	return func(i *Info, v string) (err error) { *at(i), err = parseSeconds(v); return err }
}

// errorCount reads count=5.
func errorCount(at func(*Info) *int64) infoField {
	return func(i *Info, v string) (err error) {
		*at(i), err = strconv.ParseInt(pairs(v)["count"], 10, 64)
		return err
	}
}

// loading collects two fields: a replica swapping in a new data set reports async_loading while loading stays 0.
func loading(i *Info, v string) error {
	i.Loading = i.Loading || v == "1"
	return nil
}

// parseSeconds turns Redis's whole seconds into a duration; any negative number means that Redis does not know.
func parseSeconds(v string) (time.Duration, error) {
	n, err := strconv.ParseInt(v, 10, 32)
	if err != nil {
		return Unknown, err
	}
	if n < 0 {
		return Unknown, nil
	}
	return time.Duration(n) * time.Second, nil
}

func (i *Info) setRole(v string) error {
	switch v {
	case "master", "primary":
		i.Role = RoleMaster
	case "slave", "replica":
		i.Role = RoleReplica
	default:
		return fmt.Errorf("unknown role %q", v)
	}
	return nil
}

// addKeyspace reads keys=1,expires=0,avg_ttl=0.
func (i *Info) addKeyspace(v string) error {
	n, err := parseCount(pairs(v)["keys"])
	if err != nil {
		return err
	}
	if i.Keys += n; i.Keys < 0 {
		return errors.New("there are not so many keys")
	}
	return nil
}

// maxReplicas bounds the replicas that a node tells of; a set has a few.
const maxReplicas = 1000

// addReplica reads ip=10.0.0.2,port=6379,state=online,offset=42,lag=0.
func (i *Info) addReplica(v string) error {
	if len(i.ConnectedReplicas) == maxReplicas {
		return errors.New("there are not so many replicas")
	}
	fields := pairs(v)
	port, errPort := strconv.Atoi(fields["port"])
	offset, errOffset := strconv.ParseInt(fields["offset"], 10, 64)
	lag, errLag := parseSeconds(fields["lag"])
	if err := errors.Join(errPort, errOffset, errLag); err != nil {
		return err
	}
	i.ConnectedReplicas = append(i.ConnectedReplicas,
		ConnectedReplica{Addr: fields["ip"], Port: port, State: fields["state"], Offset: offset, Lag: lag})
	return nil
}

func pairs(v string) map[string]string {
	m := map[string]string{}
	for pair := range strings.SplitSeq(v, ",") {
		if key, value, ok := strings.Cut(pair, "="); ok {
			m[key] = value
		}
	}
	return m
}

// numbered reports whether key is prefix followed by digits only, as in db0 or slave12.
func numbered(key, prefix string) bool {
	digits, ok := strings.CutPrefix(key, prefix)
	if !ok || digits == "" {
		return false
	}
	return strings.Trim(digits, "0123456789") == ""
}
