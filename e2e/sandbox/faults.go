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

// route is a direction between two addresses.
type route struct{ from, to netip.Addr }

// faults are the partitions in force: rules of the root namespace, through which everything is routed. Changing a rule flushes
// the kernel's cached routes, so established connections are cut like new ones, and neither side is told.
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
	rule.Src, rule.Dst = hostNet(r.from), hostNet(r.to)
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
		return fmt.Errorf("partition %s from %s: %w", r.to, r.from, err)
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

// passes reports whether packets get from one address to the other; when they don't, the channel closes at the next change.
// The service proxy asks: what goes through it has its own address on the packets.
func (f *faults) passes(from, to netip.Addr) (bool, <-chan struct{}) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return !f.cut[route{from, to}], f.changed
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

// Partition drops every packet between the two addresses, silently, in both directions, of established connections too. It is for
// addresses of pods, Hosts and the API server; a pod that comes back under a new address is not concerned.
func (s *Sandbox) Partition(a, b netip.Addr) error {
	return errors.Join(s.PartitionOneWay(a, b), s.PartitionOneWay(b, a))
}

// PartitionOneWay drops every packet from one address to the other. TCP gets nothing through then in either direction, but
// what from sends is lost and what to sends arrives.
func (s *Sandbox) PartitionOneWay(from, to netip.Addr) error {
	return s.faults.set(route{from, to}, true)
}

// Heal ends the partition between the two addresses, in both directions.
func (s *Sandbox) Heal(a, b netip.Addr) error {
	return errors.Join(s.faults.set(route{a, b}, false), s.faults.set(route{b, a}, false))
}

// HealAll ends every partition.
func (s *Sandbox) HealAll() error {
	var errs []error
	for _, r := range s.faults.routes() {
		errs = append(errs, s.faults.set(r, false))
	}
	return errors.Join(errs...)
}

// Signal sends a signal to the main process of a container, as kill would on its node. SIGKILL ends the container, SIGSTOP hangs it
// until SIGCONT.
func (s *Sandbox) Signal(namespace, pod, container string, signal syscall.Signal) error {
	p, err := s.runner.process(namespace, pod, container)
	if err != nil {
		return err
	}
	return p.signal(signal)
}
