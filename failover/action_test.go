// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"testing"
)

func TestEveryActionNamesItsTarget(t *testing.T) {
	ref := NodeRef{Pod: "r-1", UID: "u"}
	for _, a := range []Action{
		Detach{Node: ref}, Drain{Master: ref}, Promote{Node: ref}, Follow{Node: ref}, SetMinReplicas{Node: ref}, Unpause{Node: ref},
		CutClients{Node: ref}, Publish{Node: ref}, Label{Node: ref}, DeletePod{Node: ref},
	} {
		if a.Target() != ref {
			t.Errorf("%T changes %v", a, a.Target())
		}
	}
	for _, a := range []Action{Withdraw{}, AcknowledgeRequest{}} {
		if a.Target() != (NodeRef{}) {
			t.Errorf("%T changes %v", a, a.Target())
		}
	}
}
