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

// What the annotation may carry: "switchover" lets the operator choose, "switchover:POD" names the pod that is to
// become master. Behind it "#ID" may stand, which tells a request from an earlier one that is like it.
const (
	Switchover = "switchover"
	IDMark     = "#"
	maxRequest = 512 // characters
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
	verb, target, _ := strings.Cut(asked, ":")
	if verb != Switchover {
		return nil, fmt.Errorf("annotation %s: %q is not a request; use %q or %q; for anything else make a RedisHARequest",
			v1alpha1.AnnotationRequest, value, Switchover, Switchover+":POD")
	}
	return &failover.Request{ID: value, Verb: failover.VerbSwitchover, Target: target}, nil
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

// Outcome is what became of a request as the status of the RedisHA tells it; false when it was not taken up, or so long
// ago that it is forgotten.
func Outcome(rha *v1alpha1.RedisHA, id string) (v1alpha1.RequestStatus, bool) {
	i := slices.IndexFunc(rha.Status.Requests, func(r v1alpha1.RequestStatus) bool { return r.ID == id })
	if i < 0 {
		return v1alpha1.RequestStatus{}, false
	}
	return rha.Status.Requests[i], true
}

// WasHandled reports whether the request that a RedisHA is annotated with was carried out or refused before, and put
// back since. One that was taken up and is not acknowledged yet was not.
func WasHandled(rha *v1alpha1.RedisHA) bool {
	value := rha.Annotations[v1alpha1.AnnotationRequest]
	if f := rha.Status.Failover; f != nil && f.Request == value {
		return false
	}
	_, known := Outcome(rha, value)
	return known
}

// IsRequested reports whether a RedisHA is annotated with a request that waits to be carried out.
func IsRequested(rha *v1alpha1.RedisHA) bool {
	return rha.Annotations[v1alpha1.AnnotationRequest] != "" && !WasHandled(rha)
}
