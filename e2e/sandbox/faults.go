// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"syscall"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// route is a direction between two addresses; the zero address is any.
type route struct{ from, to netip.Addr }

// faults are the partitions in force: rules of the root namespace, through which everything is routed. Changing a rule
// flushes the kernel's cached routes, so established connections are cut like new ones, and neither side is told.
type faults struct {
	mu      sync.RWMutex
	cut     map[route]bool
	changed chan struct{} // closed and replaced at each change
}

func newFaults() *faults {
	return &faults{cut: map[route]bool{}, changed: make(chan struct{})}
}

func blackhole(r route) *netlink.Rule {
	rule := netlink.NewRule()
	rule.Family, rule.Priority, rule.Type = unix.AF_INET, faultRulePriority, unix.RTN_BLACKHOLE
	if r.from.IsValid() {
		rule.Src = hostNet(r.from)
	}
	if r.to.IsValid() {
		rule.Dst = hostNet(r.to)
	}
	return rule
}

func (f *faults) set(r route, cut bool) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.cut[r] == cut {
		return nil
	}
	change := netlink.RuleDel
	if cut {
		change = netlink.RuleAdd
	}
	if err := change(blackhole(r)); err != nil {
		return fmt.Errorf("change what passes from %s to %s: %w", r.from, r.to, err)
	}
	if cut {
		f.cut[r] = true
	} else {
		delete(f.cut, r)
	}
	close(f.changed)
	f.changed = make(chan struct{})
	return nil
}

// passes reports whether packets get from one address to the other; when they don't, the channel closes at the next
// change. The service proxy asks: what goes through it has its own address on the packets.
func (f *faults) passes(from, to netip.Addr) (bool, <-chan struct{}) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	anyone := netip.Addr{}
	return !f.cut[route{from, to}] && !f.cut[route{from, anyone}] && !f.cut[route{anyone, to}], f.changed
}

func (f *faults) routes() []route {
	f.mu.RLock()
	defer f.mu.RUnlock()
	all := make([]route, 0, len(f.cut))
	for r := range f.cut {
		all = append(all, r)
	}
	return all
}

// Partition drops every packet between the two addresses, silently, in both directions, of established connections too.
// It is for addresses of pods, Hosts and the API server; a pod that comes back under a new address is not concerned.
func (s *Sandbox) Partition(a, b netip.Addr) error {
	return errors.Join(s.PartitionOneWay(a, b), s.PartitionOneWay(b, a))
}

// PartitionOneWay drops every packet from one address to the other. TCP gets nothing through then in either direction,
// but what from sends is lost and what to sends arrives.
func (s *Sandbox) PartitionOneWay(from, to netip.Addr) error {
	return s.faults.set(route{from, to}, true)
}

// Heal ends the partition between the two addresses, in both directions.
func (s *Sandbox) Heal(a, b netip.Addr) error {
	return errors.Join(s.faults.set(route{a, b}, false), s.faults.set(route{b, a}, false))
}

// Isolate parts an address from every other, those to come included. A pod's probes go on, as on a node that has lost
// its network.
func (s *Sandbox) Isolate(addr netip.Addr) error { return s.Partition(addr, netip.Addr{}) }

// Rejoin ends the isolation of an address.
func (s *Sandbox) Rejoin(addr netip.Addr) error { return s.Heal(addr, netip.Addr{}) }

// HealAll ends every partition and isolation.
func (s *Sandbox) HealAll() error {
	var errs []error
	for _, r := range s.faults.routes() {
		errs = append(errs, s.faults.set(r, false))
	}
	return errors.Join(errs...)
}

// Signal sends a signal to the program that a container is there for, as kill would on its node: its first process, or
// what that one supervises if it is a shell that does. SIGKILL ends the process, SIGSTOP hangs it until SIGCONT.
func (s *Sandbox) Signal(namespace, pod, container string, signal syscall.Signal) error {
	p, err := s.runner.process(namespace, pod, container)
	if err != nil {
		return err
	}
	return p.signalProgram(signal)
}

// SignalContainer sends a signal to the first process of a container. SIGKILL ends the container.
func (s *Sandbox) SignalContainer(namespace, pod, container string, signal syscall.Signal) error {
	p, err := s.runner.process(namespace, pod, container)
	if err != nil {
		return err
	}
	return p.signal(signal)
}
