// SPDX-License-Identifier: Apache-2.0

package memory

import (
	"testing"

	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

func TestWhatWasWrittenIsSeenBeforeTheCacheShowsIt(t *testing.T) {
	slice := func(version string) *discoveryv1.EndpointSlice {
		return &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Name: "s", UID: "u", ResourceVersion: version}}
	}
	key := client.ObjectKey{Name: "s"}
	var e Written[*discoveryv1.EndpointSlice]
	e.Wrote(slice("10"))
	for _, tc := range []struct {
		cached string
		found  bool
		want   string
	}{{"9", true, "10"}, {"", false, "10"}, {"10", true, "10"}, {"9", true, "9"}} {
		// The last row: once the cache has caught up, it alone counts.
		got, ok := e.Newest(key, slice(tc.cached), tc.found)
		if !ok || got.ResourceVersion != tc.want {
			t.Errorf("cached %q (%t): got %q, %t", tc.cached, tc.found, got.ResourceVersion, ok)
		}
	}
}
