// SPDX-License-Identifier: Apache-2.0

package prober

import (
	"time"

	"github.com/redisha/redisha/redisclient"
)

// nonsense is since when a pod has answered with what no Redis says, or as another process each time. Each such answer
// costs a new connection or a decision, and is of no use. So it is asked seldom, until it has made sense for a while.
type nonsense struct {
	since, last time.Time
	runID       string    // of the process that answered last
	renamed     time.Time // when that was another one than before
}

const (
	// nonsenseAfter is how long it must have gone on. A trouble of our own that looks the same is over by then, or asking
	// fast is no help.
	nonsenseAfter = 10 * time.Second
	nonsenseOver  = 5 * time.Second // since the last of it, and a pause
	// A pause is a tenth of the time that it has gone on for, within these bounds: what has made sense again for a moment
	// is heard 5 s later at most.
	nonsensePause   = time.Second
	nonsenseSlowest = 5 * time.Second
	nonsensePart    = 10
)

func (n *nonsense) note(o outcome) {
	renamed := n.rename(o)
	if o.class != redisclient.ClassOther && o.class != redisclient.ClassServer && !renamed {
		return
	}
	if n.isOver(o.ended, n.last) {
		n.since = o.ended
	}
	n.last = o.ended
}

// rename reports that another process answers than before, which had itself just come. A Redis that dies young ends its
// container, and the kubelet waits longer and longer until it starts the next.
func (n *nonsense) rename(o outcome) bool {
	if o.class != redisclient.ClassNone || o.info.RunID == n.runID {
		return false
	}
	justCame := !n.isOver(o.ended, n.renamed)
	n.runID, n.renamed = o.info.RunID, o.ended
	return justCame
}

// pause is how long the pod is left alone; zero: it makes sense.
func (n *nonsense) pause(now time.Time) time.Duration {
	if n.isOver(now, n.last) {
		return 0
	}
	return n.slowed()
}

// isOver reports that what was last seen then is too long ago to go on.
func (n *nonsense) isOver(now, last time.Time) bool {
	return last.IsZero() || now.Sub(last) > nonsenseOver+n.slowed()
}

func (n *nonsense) slowed() time.Duration {
	lasted := n.last.Sub(n.since)
	if lasted < nonsenseAfter {
		return 0
	}
	return min(max(lasted/nonsensePart, nonsensePause), nonsenseSlowest)
}
