// SPDX-License-Identifier: Apache-2.0

package diagnosis

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/redisha/redisha/failover"
)

// What holds a failover back is told by its own name, so that name has to be a reason.
func TestTheNameOfEachHoldIsAReason(t *testing.T) {
	reasons, err := os.ReadFile("../progress.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		isReason := strings.Contains(string(reasons), fmt.Sprintf("Reason = %q", p.Reason()))
		if held := p.Class == ClassHold; held != (p.Reason() != failover.ReasonNone) || held && !isReason {
			t.Errorf("%s is told as %q, which is no reason", p.Diagnosis, p.Reason())
		}
	}
}
