// SPDX-License-Identifier: Apache-2.0

package failover

import "time"

// Mode says how much the operator may do by itself.
type Mode string

const (
	// ModeAutomatic: failovers and switchovers happen by themselves.
	ModeAutomatic Mode = "Automatic"
	// ModeManual: a lost master is replaced only when a person requests it; planned switchovers go on.
	ModeManual Mode = "Manual"
	// ModePaused: observe, do not act. What was begun before is finished first.
	ModePaused Mode = "Paused"
)

// Consistency says what a promotion may lose.
type Consistency string

const (
	// ConsistencyBounded: the unreplicated tail of a dead master may be lost.
	ConsistencyBounded Consistency = "Bounded"
	// ConsistencyStrict: no write acknowledged by WAIT 1 is lost; promotion needs every replica detached.
	ConsistencyStrict Consistency = "Strict"
)

// Bounds of the protocol that are not the user's to choose.
const (
	// QuietenWithin bounds how long a failover waits for the old master to be quietened.
	QuietenWithin = 150 * time.Millisecond
	// DetachWithin bounds how long a failover waits for a replica that answered a moment ago.
	DetachWithin = time.Second
	// PromoteWithin bounds how long a candidate may take to say that it is master.
	PromoteWithin = 2 * time.Second
	// SwitchoverWithin bounds the write pause of a switchover; then it is aborted.
	SwitchoverWithin = 3 * time.Second
	// SwitchoverRetry is how long an aborted switchover waits before the next attempt.
	SwitchoverRetry = 5 * time.Second
	// ReattachWithin bounds the state Reattaching; what is not attached by then is Stable's upkeep.
	ReattachWithin = 30 * time.Second
	// GuardMaxLag is min-replicas-max-lag: a replica that the master has not heard for longer does not count. Redis
	// compares whole seconds, and looks once a second, so that an isolated master stops GuardMaxLag-1 s to GuardMaxLag+2 s
	// after its replicas were cut off.
	GuardMaxLag = 2 * time.Second
	// WriteGuardClosed is a min-replicas-to-write that no number of replicas satisfies: the master refuses all writes, and
	// keeps its role and its data.
	WriteGuardClosed = 1 << 20
	// WithdrawAfter is how long a Blocked failover keeps publishing a master that is gone.
	WithdrawAfter = time.Second
)

// Policy is what the user's spec promises and permits.
type Policy struct {
	Mode      Mode
	DownAfter time.Duration // silence after which a master is suspected
	// for how long a node that was given up on soft evidence is passed over, while another one has as much data
	Cooldown    time.Duration
	MaxLagBytes int64 // a candidate further behind is refused; 0: no limit
	Consistency Consistency
	Replicas    int  // Redis pods in all
	Persistent  bool // pods keep their data on a volume that survives them
	Port        int  // Redis port of every pod
	// pod whose volume keeps the data while no Redis is to run; empty: one is to run, or the last one may not go yet
	Hibernate string
}

// Verb is what a Request asks for.
type Verb string

const (
	// VerbSwitchover: make Target, or any replica, master, losing nothing.
	VerbSwitchover Verb = "Switchover"
	// VerbForce: make Target master even if writes are lost by it. It overrules every ineligibility
	// but those that make it impossible, and never makes a second master.
	VerbForce Verb = "ForceFailover"
	// VerbDiscard: let Target, a divergent master, follow the master, and so discard its own data.
	VerbDiscard Verb = "Discard"
)

// Request is a person's wish.
type Request struct {
	ID     string // names the request; another one has another
	Verb   Verb   // empty: VerbSwitchover
	Target string // pod; empty: any, for a switchover
}
