package simulator

import (
	"time"

	"github.com/redisha/redisha/failover"
)

// decideFunc is failover.Decide, or something that does worse.
type decideFunc func(time.Time, failover.Policy, failover.Observation, failover.Progress, *failover.Request) failover.Decision

// defect is a deliberate mistake, switched on alone, to show that the simulator would notice it. All of them are made
// around the real code, which knows nothing of them.
type defect struct {
	name   string
	decide decideFunc

	bootUnfenced   bool // Redis starts as a master
	leaseIgnored   bool
	staleTrusted   bool // samples from before a command are taken for the state after it
	persistSkipped bool // the intent is persisted after its effects
}

var noDefect = &defect{name: "none", decide: failover.Decide}
