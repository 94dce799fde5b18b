// SPDX-License-Identifier: Apache-2.0

package redisclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
)

// reply is an error reply as go-redis returns it.
type reply string

func (r reply) Error() string { return string(r) }
func (reply) RedisError()     {}

func TestClassify(t *testing.T) {
	dial := func(err error) error {
		return &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", err)}
	}
	cases := []struct {
		err   error
		want  Class
		alive bool
	}{
		{nil, ClassNone, true},
		{context.DeadlineExceeded, ClassTimeout, false},
		{os.ErrDeadlineExceeded, ClassTimeout, false},
		{dial(syscall.ETIMEDOUT), ClassTimeout, false},
		{&net.OpError{Op: "dial", Err: &net.DNSError{IsTimeout: true}}, ClassTimeout, false},
		{dial(syscall.ECONNREFUSED), ClassRefused, false},
		{&net.OpError{Op: "read", Err: syscall.ECONNRESET}, ClassRefused, false},
		{&net.OpError{Op: "write", Err: syscall.EPIPE}, ClassRefused, false},
		{io.EOF, ClassRefused, false},
		{io.ErrUnexpectedEOF, ClassRefused, false},
		{dial(syscall.EHOSTUNREACH), ClassUnreachable, false},
		{dial(syscall.ENETUNREACH), ClassUnreachable, false},
		{dial(syscall.EPERM), ClassUnreachable, false},
		{&net.OpError{Op: "dial", Err: &net.DNSError{IsNotFound: true}}, ClassUnreachable, false},
		{reply("NOAUTH Authentication required."), ClassAuth, true},
		{reply("WRONGPASS invalid username-password pair or user is disabled."), ClassAuth, true},
		{reply("NOPERM this user has no permissions to run the 'info' command"), ClassAuth, true},
		{reply("ERR invalid password"), ClassAuth, true},
		{reply("ERR AUTH <password> called without any password configured for the default user."), ClassAuth, true},
		{reply("DENIED Redis is running in protected mode because protected mode is enabled"), ClassAuth, true},
		{&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, ClassAuth, true},
		{&net.OpError{Op: "remote error", Err: tls.AlertError(42)}, ClassAuth, true},
		{tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, ClassAuth, true},
		{reply("LOADING Redis is loading the dataset in memory"), ClassLoading, true},
		{reply("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."), ClassMasterDown, true},
		{reply("BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."), ClassBusy, true},
		{
			reply("MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist"),
			ClassMisconf,
			true,
		},
		{reply("READONLY You can't write against a read only replica."), ClassReadOnly, true},
		{reply("NOREPLICAS Not enough good replicas to write."), ClassNoReplicas, true},
		{reply("ERR max number of clients reached"), ClassMaxClients, true},
		{reply("ERR max number of clients + cluster connections reached"), ClassMaxClients, true},
		{reply("ERR unknown command 'FOO'"), ClassServer, true},
		{reply("BUSYGROUP Consumer Group name already exists"), ClassServer, true},
		{reply(""), ClassServer, true},
		{context.Canceled, ClassCanceled, false},
		{ErrClosed, ClassCanceled, false},
		{errors.New("something else"), ClassOther, false},
	}
	for _, tc := range cases {
		t.Run(fmt.Sprint(tc.err), func(t *testing.T) {
			got := Classify(tc.err)
			if got != tc.want || got.Alive() != tc.alive {
				t.Errorf("class %v, alive %t; want %v, %t", got, got.Alive(), tc.want, tc.alive)
			}
			if tc.err == nil {
				return
			}
			if wrapped := Classify(fmt.Errorf("redis 10.0.0.1:6379: INFO: %w", tc.err)); wrapped != tc.want {
				t.Errorf("wrapped: class %v, want %v", wrapped, tc.want)
			}
		})
	}
}

func TestEveryClassHasItsOwnName(t *testing.T) {
	seen := map[string]Class{}
	for class := ClassNone; class <= ClassOther; class++ {
		if other, ok := seen[class.String()]; ok {
			t.Errorf("classes %d and %d are both called %s", other, class, class)
		}
		seen[class.String()] = class
	}
	if len(seen) != len(classNames) {
		t.Errorf("%d classes, %d names", len(seen), len(classNames))
	}
	if got := Class(99).String(); got != "other" {
		t.Errorf("an unknown class is called %s", got)
	}
}
