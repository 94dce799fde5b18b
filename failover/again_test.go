// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"testing"
	"time"
)

func TestTheSoonerOfTwoTimesIsChosenAndAnEventIsWaitedForOnlyWhereBothDo(t *testing.T) {
	for _, tc := range []struct{ a, b, want Again }{
		{OnEvent(), OnEvent(), Again{}},
		{OnEvent(), After(time.Second), After(time.Second)},
		{Now(), After(time.Second), Now()},
		{After(time.Minute), After(time.Second), After(time.Second)},
		{After(-time.Second), OnEvent(), Now()},
	} {
		if x, y := tc.a.Sooner(tc.b), tc.b.Sooner(tc.a); x != tc.want || y != tc.want {
			t.Errorf("of %s and %s it is %s, or %s; want %s", tc.a, tc.b, x, y, tc.want)
		}
	}
	if _, timed := OnEvent().Wait(); timed {
		t.Error("an event comes at a time")
	}
	if wait, timed := Now().Wait(); wait != 0 || !timed {
		t.Errorf("now is after %s, timed %t", wait, timed)
	}
}
