// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestWhatIsRememberedIsOfOneKeyUntilItIsForgotten(t *testing.T) {
	type turns struct{ count int }
	a, b := client.ObjectKey{Namespace: "one", Name: "r"}, client.ObjectKey{Namespace: "other", Name: "r"}
	s := Store[turns]{New: func() *turns { return &turns{count: 1} }}
	s.Of(a).count++
	if s.Of(a).count != 2 || s.Of(b).count != 1 {
		t.Errorf("%d of one, %d of the other", s.Of(a).count, s.Of(b).count)
	}
	s.Forget(a)
	if s.Of(a).count != 1 {
		t.Errorf("%d after it was forgotten", s.Of(a).count)
	}
	var zero Store[turns]
	if zero.Of(a).count != 0 {
		t.Error("the zero store makes something else than a zero value")
	}
}
