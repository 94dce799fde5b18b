// SPDX-License-Identifier: Apache-2.0

package redisclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
)

// Bounds of what a peer can make us hold. go-redis makes room for as many bytes and elements as a reply announces,
// before they have come: a few bytes are enough to ask for more memory than there is. So each byte is looked at before
// go-redis gets it.
const (
	// maxReply is how much may come in answer to what was sent at once. INFO is some 10 KiB, and 60 bytes more for each
	// database in use.
	maxReply = 128 << 10
	// maxList is the same for CLIENT LIST: 400 bytes a client, and 10,000 clients by default.
	maxList = 8 << 20
	// maxListsAtOnce bounds how many of those are on their way to this process.
	maxListsAtOnce = 4
	// maxElements is how many elements the arrays, maps and sets of such an answer may have; also how deep they can be.
	maxElements = 4096
	// maxLine bounds a line: a length, a number, a status, an error.
	maxLine = 16 << 10
)

var (
	errTooMuch   = errors.New("peer sent, or announced, more than any answer needs")
	errMalformed = errors.New("peer sent what no Redis sends")
	errPanicked  = errors.New("the client library gave up")
)

// bounds follows the replies of a connection and says when they break a bound. RESP needs no memory of how values are
// nested for that: every element begins with its type.
type bounds struct {
	long     bool // the answer may grow to maxList
	grown    bool // it has, and holds a token of lists
	bytes    int
	elements int
	skip     int    // bytes of a string that are still to come, with its line end
	line     []byte // begun, and not ended yet
}

// asked begins a new answer.
func (b *bounds) asked(long bool) {
	if b.grown {
		<-lists
	}
	b.long, b.grown, b.bytes, b.elements = long, false, 0, 0
}

// fits reports whether an answer may have so many bytes. A long one that finds too many others on their way is refused
// and not waited with: who announces much and sends nothing must not hold others up.
func (b *bounds) fits(n int) bool {
	switch {
	case n <= maxReply:
		return true
	case !b.long || n > maxList:
		return false
	case b.grown:
		return true
	}
	select {
	case lists <- struct{}{}:
		b.grown = true
	default:
	}
	return b.grown
}

// take looks at what has come.
func (b *bounds) take(p []byte) error {
	if b.bytes += len(p); !b.fits(b.bytes) {
		return errTooMuch
	}
	for len(p) > 0 {
		if b.skip > 0 {
			n := min(b.skip, len(p))
			b.skip, p = b.skip-n, p[n:]
			continue
		}
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			b.line = append(b.line, p...)
			p = nil
		} else {
			b.line = append(b.line, p[:end]...)
			p = p[end+1:]
		}
		if len(b.line) > maxLine {
			return errTooMuch
		}
		if end < 0 {
			continue
		}
		err := b.header(bytes.TrimSuffix(b.line, []byte("\r")))
		if b.line = b.line[:0]; err != nil {
			return err
		}
	}
	return nil
}

// header reads the first line of a value.
func (b *bounds) header(line []byte) error {
	if len(line) == 0 {
		return errMalformed
	}
	each := 0
	switch line[0] {
	case '$', '=', '!':
	case '*', '~', '>':
		each = 1
	case '%', '|':
		each = 2
	default:
		return nil
	}
	n, err := strconv.Atoi(string(line[1:]))
	switch {
	case err != nil && !errors.Is(err, strconv.ErrRange), n < -1:
		return errMalformed
	case err != nil, !b.fits(n):
		return errTooMuch
	case n < 0:
		return nil
	case each == 0:
		b.skip = n + len("\r\n")
		return nil
	}
	if b.elements += each * n; b.elements > maxElements {
		return errTooMuch
	}
	return nil
}

// guarded runs an exchange, and turns a panic of the client library into an error: what one Redis sends must not end
// the operator of all.
func guarded(run func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v\n%s", errPanicked, p, debug.Stack())
		}
	}()
	return run()
}

// lists holds a token for each answer that is longer than maxReply and on its way.
var lists = make(chan struct{}, maxListsAtOnce)

// listing is do for an answer that may be long.
func (c *Client) listing(ctx context.Context, what string, fn exchangeFunc) error {
	return c.doExpecting(ctx, what, true, fn)
}
