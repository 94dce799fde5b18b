// SPDX-License-Identifier: Apache-2.0

package redisclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/redis/go-redis/v9"
)

// ErrClosed is returned by every call on a closed [Client].
var ErrClosed = errors.New("redis client is closed")

// ErrNoCertificate means that a connection is to be encrypted and nothing is known to encrypt it with. It is of
// [ClassAuth].
var ErrNoCertificate = errors.New("there is no certificate to encrypt the connection with")

// Class says what an error is evidence of. A failover decides on the class, never on an error's text.
type Class int

const (
	// ClassNone is no error.
	ClassNone Class = iota
	// ClassTimeout is silence: nothing came back in time. It proves nothing.
	ClassTimeout
	// ClassRefused means the host is there and no process holds the socket: connection refused, reset or closed.
	ClassRefused
	// ClassUnreachable means no way to the host (no route, host down, no such name). Treat it like silence.
	ClassUnreachable
	// ClassAuth is a wrong or missing password, a missing permission or a failed TLS handshake: a
	// misconfiguration, not a death.
	ClassAuth
	// ClassLoading means Redis is reading its data set from disk.
	ClassLoading
	// ClassMasterDown is a replica with replica-serve-stale-data no whose link is down.
	ClassMasterDown
	// ClassBusy means a script has been running for longer than busy-reply-threshold.
	ClassBusy
	// ClassMisconf means writes are refused because Redis cannot persist.
	ClassMisconf
	// ClassReadOnly is a write refused by a replica.
	ClassReadOnly
	// ClassNoReplicas is a write refused by min-replicas-to-write.
	ClassNoReplicas
	// ClassMaxClients means Redis turned the connection away because it has too many.
	ClassMaxClients
	// ClassServer is any other error reply.
	ClassServer
	// ClassCanceled means the caller gave up or closed the client.
	ClassCanceled
	// ClassOther is everything else, on this side of the connection.
	ClassOther
)

var classNames = [...]string{
	"none", "timeout", "refused", "unreachable", "auth", "loading", "masterdown", "busy", "misconf",
	"readonly", "noreplicas", "maxclients", "server", "canceled", "other",
}

// String returns the class as one lower-case word, fit for a metric label.
func (c Class) String() string {
	if c < 0 || int(c) >= len(classNames) {
		return "other"
	}
	return classNames[c]
}

// Alive reports whether the class proves that a Redis process answered, however unwillingly.
// ClassNone is alive: no error means a reply.
func (c Class) Alive() bool {
	switch c {
	case ClassTimeout, ClassRefused, ClassUnreachable, ClassCanceled, ClassOther:
		return false
	default:
		return true
	}
}

// Classify tells what err is evidence of. It sees through wrapping, and is total.
func Classify(err error) Class {
	switch {
	case err == nil:
		return ClassNone
	case errors.Is(err, context.Canceled), errors.Is(err, ErrClosed), errors.Is(err, net.ErrClosed):
		return ClassCanceled
	}
	var reply redis.Error
	if errors.As(err, &reply) {
		return classifyReply(reply.Error())
	}
	if errors.Is(err, ErrNoCertificate) || errors.Is(err, errTurnedAway) || isTLS(err) {
		return ClassAuth
	}
	return classifyNetwork(err)
}

// replyClasses maps the first word of an error reply (Redis's error code) to its class.
var replyClasses = map[string]Class{
	"LOADING":    ClassLoading,
	"MASTERDOWN": ClassMasterDown,
	"BUSY":       ClassBusy,
	"MISCONF":    ClassMisconf,
	"READONLY":   ClassReadOnly,
	"NOREPLICAS": ClassNoReplicas,
	"NOAUTH":     ClassAuth,
	"WRONGPASS":  ClassAuth,
	"NOPERM":     ClassAuth,
	"DENIED":     ClassAuth, // protected mode
}

func classifyReply(text string) Class {
	code, rest, _ := strings.Cut(text, " ")
	if class, ok := replyClasses[code]; ok {
		return class
	}
	switch {
	case strings.HasPrefix(rest, "max number of clients"):
		return ClassMaxClients
	case strings.HasPrefix(rest, "invalid password"), strings.HasPrefix(rest, "AUTH <password> called without"):
		return ClassAuth
	default:
		return ClassServer
	}
}

func isTLS(err error) bool {
	var (
		record   tls.RecordHeaderError
		alert    tls.AlertError
		verify   *tls.CertificateVerificationError
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
		invalid  x509.CertificateInvalidError
		said     *net.OpError
	)
	// What the other side says of our certificate comes as an OpError of these, around a type that is not exported.
	if errors.As(err, &said) && (said.Op == "remote error" || said.Op == "local error") {
		return true
	}
	return errors.As(err, &record) || errors.As(err, &alert) || errors.As(err, &verify) ||
		errors.As(err, &unknown) || errors.As(err, &hostname) || errors.As(err, &invalid)
}

var (
	refusedErrors = []error{
		syscall.ECONNREFUSED, syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE, io.EOF, io.ErrUnexpectedEOF,
	}
	// EPERM is what a packet filter on our own host answers a dropped packet with.
	unreachableErrors = []error{
		syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EHOSTDOWN, syscall.ENETDOWN, syscall.EADDRNOTAVAIL,
		syscall.EPERM, syscall.EACCES,
	}
)

func classifyNetwork(err error) Class {
	var netErr net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.Is(err, syscall.ETIMEDOUT) || (errors.As(err, &netErr) && netErr.Timeout()) {
		return ClassTimeout
	}
	if isAny(err, refusedErrors) {
		return ClassRefused
	}
	var dns *net.DNSError
	if isAny(err, unreachableErrors) || errors.As(err, &dns) {
		return ClassUnreachable
	}
	return ClassOther
}

func isAny(err error, targets []error) bool {
	for _, target := range targets {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}
