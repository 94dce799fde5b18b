// SPDX-License-Identifier: Apache-2.0

package apply

import (
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ErrOwnerGone means that the owner is gone or going, and nothing is to be written for it any more.
var ErrOwnerGone = errors.New("the owner is being deleted")

// object names what an error is about.
type object struct{ Kind, Name string }

func (o object) String() string { return fmt.Sprintf("%s %q", o.Kind, o.Name) }

// NotOwnedError means that an object of that name exists and is another's. It was left as it is.
type NotOwnedError struct {
	object

	// Live is the object as it is.
	Live client.Object
}

func (e *NotOwnedError) Error() string { return e.String() + " exists and belongs to another" }

// BeingDeletedError means that the object is being deleted. It can be created anew when it is gone.
type BeingDeletedError struct{ object }

func (e *BeingDeletedError) Error() string { return e.String() + " is being deleted" }

// RefusedError means that the API server will not have the object as it is wanted, now or later.
type RefusedError struct {
	object

	Err error
}

func (e *RefusedError) Error() string { return fmt.Sprintf("%s: %v", e.object, e.Err) }

// Unwrap returns the API server's error.
func (e *RefusedError) Unwrap() error { return e.Err }

// failure tells what trying again cannot mend from what it can.
func failure(want *unstructured.Unstructured, err error) error {
	what := object{Kind: want.GetKind(), Name: want.GetName()}
	if apierrors.IsInvalid(err) || apierrors.IsForbidden(err) || apierrors.IsBadRequest(err) {
		return &RefusedError{object: what, Err: err}
	}
	if err != nil {
		return fmt.Errorf("applying %s: %w", what, err)
	}
	return nil
}
