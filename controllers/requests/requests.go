// SPDX-License-Identifier: Apache-2.0

package requests

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/failover"
)

// What the request annotation may carry. "switchover" lets the operator choose, "switchover:POD" names the pod that is
// to become master. The other two lose data and must say so: "force-failover:POD" promotes a pod against a refusal,
// "discard:POD" gives up what a divergent master holds; both want ":accept-data-loss" behind. Behind all of it "#ID"
// may stand, which tells a request from an earlier one that is like it.
const (
	Switchover      = "switchover"
	requestAccepted = "accept-data-loss"
	IDMark          = "#"
	maxRequest      = 512 // characters
)

// Of reads the request annotation; nil when there is none.
func Of(rha *v1alpha1.RedisHA) (*failover.Request, error) {
	value := rha.Annotations[v1alpha1.AnnotationRequest]
	if value == "" {
		return nil, nil
	}
	if len(value) > maxRequest {
		return nil, fmt.Errorf("annotation %s: a request has at most %d characters", v1alpha1.AnnotationRequest, maxRequest)
	}
	asked, _, _ := strings.Cut(value, IDMark)
	verb, rest, _ := strings.Cut(asked, ":")
	target, acceptance, _ := strings.Cut(rest, ":")
	request := &failover.Request{ID: value, Verb: failover.Verb(verb), Target: target}
	switch request.Verb {
	case failover.VerbSwitchover:
		return request, nil
	case failover.VerbForce, failover.VerbDiscard:
		if target != "" && acceptance == requestAccepted {
			return request, nil
		}
		return nil, fmt.Errorf("annotation %s: %s may lose data; name the pod and say so: %q",
			v1alpha1.AnnotationRequest, verb, verb+":POD:"+requestAccepted)
	}
	return nil, fmt.Errorf("annotation %s: %q is not a request; use %q, %q, %q or %q", v1alpha1.AnnotationRequest, value,
		Switchover, Switchover+":POD", string(failover.VerbForce)+":POD:"+requestAccepted, string(failover.VerbDiscard)+":POD:"+requestAccepted)
}

// AnotherID is a request like one that was made before, with another ID.
func AnotherID(request string) string {
	asked, id, _ := strings.Cut(request, IDMark)
	n, err := strconv.Atoi(id)
	if err != nil || n < 1 {
		n = 1
	}
	return asked + IDMark + strconv.Itoa(n+1)
}

// WasHandled reports whether the request that a RedisHA carries was carried out or refused before, and put back since.
// One that was taken up and is not acknowledged yet was not.
func WasHandled(rha *v1alpha1.RedisHA) bool {
	value := rha.Annotations[v1alpha1.AnnotationRequest]
	if f := rha.Status.Failover; f != nil && f.Request == value {
		return false
	}
	return value == rha.Status.LastHandledRequest || slices.Contains(rha.Status.HandledRequests, value)
}

// IsRequested reports whether a request waits to be carried out.
func IsRequested(rha *v1alpha1.RedisHA) bool {
	return rha.Annotations[v1alpha1.AnnotationRequest] != "" && !WasHandled(rha)
}
