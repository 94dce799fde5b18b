// SPDX-License-Identifier: Apache-2.0

package prober

import (
	"time"

	"github.com/redisha/redisha/redisclient"
)

// nonsense is since when a pod has answered with what no Redis says, again and again. Each such answer costs a new connection, and
// is of no use. So it is asked seldom, until it has made sense for a while.
type nonsense struct {
	since, last time.Time
}

const (
	// nonsenseAfter is how long it must have gone on. A trouble of our own that looks the same is over by then, or asking fast is no help.
	nonsenseAfter = 10 * time.Second
	nonsenseOver  = 5 * time.Second // since the last of it
	nonsensePause = time.Second
)

func (n *nonsense) note(class redisclient.Class, at time.Time) {
	if class != redisclient.ClassOther && class != redisclient.ClassServer {
		return
	}
	if at.Sub(n.last) > nonsenseOver {
		n.since = at
	}
	n.last = at
}

func (n *nonsense) lasts(now time.Time) bool {
	return !n.last.IsZero() && now.Sub(n.last) <= nonsenseOver && n.last.Sub(n.since) >= nonsenseAfter
}
