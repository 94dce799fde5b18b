// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"net"
	"net/http"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
)

// dialAgain is how long a request waits before it tries to reach the API server again.
const dialAgain = 250 * time.Millisecond

// untilReached has requests that read wait for an API server that cannot be reached, instead of failing.
//
// It is for the caches. Their reflectors double their pauses with every failure, up to a minute (client-go,
// tools/cache.NewReflector: 30 s, and as much again at random), so that an operator would go on waiting when an API
// server is back that was away for as long. No failover happens meanwhile.
type untilReached struct {
	http.RoundTripper
}

// RoundTrip implements http.RoundTripper. It ends with the request's context at the latest.
func (u untilReached) RoundTrip(request *http.Request) (*http.Response, error) {
	for {
		response, err := u.RoundTripper.RoundTrip(request)
		if request.Method != http.MethodGet || !unreached(err) {
			return response, err
		}
		select {
		case <-request.Context().Done():
			return response, err
		case <-time.After(dialAgain):
		}
	}
}

// unreached reports that a request was not even sent.
func unreached(err error) bool {
	var failed *net.OpError
	return errors.As(err, &failed) && failed.Op == "dial"
}

// newWaitingCache is cache.New, but that its requests wait for an API server that cannot be reached.
func newWaitingCache(config *rest.Config, options cache.Options) (cache.Cache, error) {
	config = rest.CopyConfig(config)
	config.Wrap(func(inner http.RoundTripper) http.RoundTripper { return untilReached{inner} })
	options.HTTPClient = nil // the manager's does not wait
	return cache.New(config, options)
}
