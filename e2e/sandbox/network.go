// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Every pod and every Host has a network namespace with one veth into the root namespace of the sandbox, which routes
// between them, so that everything two of them say to each other passes the root's policy rules. Addresses are from
// 198.18.0.0/15, set aside for benchmarks of networks (RFC 2544): the API server refuses loopback addresses in
// EndpointSlices.
var (
	apiServerAddr = netip.MustParseAddr("198.18.0.1")
	proxyAddr     = netip.MustParseAddr("198.18.0.2")        // what the service proxy's connections come from
	nodePrefix    = netip.MustParsePrefix("198.18.0.128/25") // what probes come from, as from a kubelet
	firstPodAddr  = netip.MustParseAddr("198.18.1.1")
	podPrefix     = netip.MustParsePrefix("198.18.0.0/16")
	servicePrefix = netip.MustParsePrefix("198.19.0.0/16")
	gatewayAddr   = netip.MustParseAddr("169.254.1.1")
	gatewayMAC    = net.HardwareAddr{0xee, 0xee, 0xee, 0xee, 0xee, 0xee}
)

// Priorities of the root namespace's policy rules. A node's kubelet reaches the node's pods whatever the network does;
// then come the partitions, and only then the lookup of local addresses, which the kernel has at 0.
const (
	nodeRulePriority  = 5
	faultRulePriority = 10
	localRulePriority = 100
)

const maxNodes = 100

func nodeAddr(index int) netip.Addr {
	a := nodePrefix.Addr().As4()
	a[3] += byte(1 + index)
	return netip.AddrFrom4(a)
}

func ipNet(prefix netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: prefix.Addr().AsSlice(), Mask: net.CIDRMask(prefix.Bits(), prefix.Addr().BitLen())}
}

func hostNet(addr netip.Addr) *net.IPNet { return ipNet(netip.PrefixFrom(addr, addr.BitLen())) }

// prepareRootNetwork is run once, by PID 1.
func prepareRootNetwork() error {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("find lo: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("set lo up: %w", err)
	}
	if err := writeSysctl("ip_forward", "1"); err != nil {
		return fmt.Errorf("switch on forwarding: %w", err)
	}
	for _, name := range []string{
		"conf/all/rp_filter", "conf/default/rp_filter", "conf/all/send_redirects",
		"conf/default/send_redirects",
	} {
		_ = writeSysctl(name, "0") // matters only where the machine's defaults are unusual
	}
	for _, addr := range []netip.Addr{apiServerAddr, proxyAddr} {
		if err := netlink.AddrAdd(lo, &netlink.Addr{IPNet: hostNet(addr)}); err != nil {
			return fmt.Errorf("add %s to lo: %w", addr, err)
		}
	}
	// The whole range of service addresses is local, for the service proxy to listen on.
	local := &netlink.Route{
		LinkIndex: lo.Attrs().Index,
		Dst:       ipNet(servicePrefix),
		Type:      unix.RTN_LOCAL,
		Table:     unix.RT_TABLE_LOCAL,
		Scope:     netlink.SCOPE_HOST,
	}
	if err := netlink.RouteAdd(local); err != nil {
		return fmt.Errorf("make %s local: %w", servicePrefix, err)
	}
	return orderRules()
}

func orderRules() error {
	rule := func(priority, table int, src, dst *net.IPNet) *netlink.Rule {
		r := netlink.NewRule()
		r.Family, r.Table, r.Priority, r.Src, r.Dst = unix.AF_INET, table, priority, src, dst
		return r
	}
	for _, r := range []*netlink.Rule{
		rule(nodeRulePriority, unix.RT_TABLE_MAIN, ipNet(nodePrefix), ipNet(podPrefix)),
		rule(nodeRulePriority, unix.RT_TABLE_LOCAL, nil, ipNet(nodePrefix)),
		rule(localRulePriority, unix.RT_TABLE_LOCAL, nil, nil),
	} {
		if err := netlink.RuleAdd(r); err != nil {
			return fmt.Errorf("add %s: %w", r, err)
		}
	}
	if err := netlink.RuleDel(rule(0, unix.RT_TABLE_LOCAL, nil, nil)); err != nil {
		return fmt.Errorf("delete rule 0: %w", err)
	}
	return nil
}

func writeSysctl(name, value string) error {
	return os.WriteFile(filepath.Join("/proc/sys/net/ipv4", name), []byte(value), 0)
}

// network hands out endpoints.
type network struct {
	mu   sync.Mutex
	next netip.Addr
	used map[netip.Addr]bool
}

func newNetwork() *network {
	return &network{next: firstPodAddr, used: map[netip.Addr]bool{}}
}

// endpoint is a network namespace with an address.
type endpoint struct {
	addr netip.Addr
	ns   *os.File
	link string
	free func()
}

func (n *network) allocate() (netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for range 1 << 16 {
		addr := n.next
		// Addresses come back only when all have been used, so that a stale one never belongs to another pod by accident.
		if n.next = addr.Next(); !podPrefix.Contains(n.next) {
			n.next = firstPodAddr
		}
		if last := addr.As4()[3]; n.used[addr] || last == 0 || last == 255 {
			continue
		}
		n.used[addr] = true
		return addr, nil
	}
	return netip.Addr{}, errors.New("no pod address left")
}

func (n *network) release(addr netip.Addr) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.used, addr)
}

// newEndpoint makes a namespace, gives it an address and connects it.
func (n *network) newEndpoint() (*endpoint, error) {
	addr, err := n.allocate()
	if err != nil {
		return nil, err
	}
	ns, err := newNetNS()
	if err != nil {
		n.release(addr)
		return nil, err
	}
	b := addr.As4()
	e := &endpoint{addr: addr, ns: ns, link: fmt.Sprintf("v%d.%d", b[2], b[3]), free: func() { n.release(addr) }}
	if err := e.connect(); err != nil {
		e.close()
		return nil, fmt.Errorf("connect %s: %w", addr, err)
	}
	return e, nil
}

// connect lays the veth pair. Both ends know the other's hardware address from the start: no ARP, no first packet lost.
func (e *endpoint) connect() error {
	b := e.addr.As4()
	mac := net.HardwareAddr{2, 0, b[0], b[1], b[2], b[3]}
	attributes := netlink.NewLinkAttrs()
	attributes.Name, attributes.HardwareAddr = e.link, gatewayMAC
	pair := &netlink.Veth{
		LinkAttrs:        attributes,
		PeerName:         "eth0",
		PeerHardwareAddr: mac,
		PeerNamespace:    netlink.NsFd(int(e.ns.Fd())),
	}
	if err := netlink.LinkAdd(pair); err != nil {
		return fmt.Errorf("add veth: %w", err)
	}
	link, err := netlink.LinkByName(e.link)
	if err != nil {
		return err
	}
	root, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := configureLink(root, link, hostNet(e.addr), apiServerAddr.AsSlice(), mac); err != nil {
		return fmt.Errorf("root side: %w", err)
	}
	return inNetNS(e.ns, func() error {
		inside, err := netlink.NewHandle(unix.NETLINK_ROUTE)
		if err != nil {
			return err
		}
		defer inside.Close()
		return e.configureInside(inside)
	})
}

func (e *endpoint) configureInside(h *netlink.Handle) error {
	lo, err := h.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := h.LinkSetUp(lo); err != nil {
		return err
	}
	link, err := h.LinkByName("eth0")
	if err != nil {
		return err
	}
	if err := h.AddrAdd(link, &netlink.Addr{IPNet: hostNet(e.addr)}); err != nil {
		return err
	}
	if err := configureLink(h, link, hostNet(gatewayAddr), e.addr.AsSlice(), gatewayMAC); err != nil {
		return err
	}
	return h.RouteAdd(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: gatewayAddr.AsSlice(), Src: e.addr.AsSlice()})
}

// configureLink sets the link up and routes dst over it, to the neighbour with that hardware address.
func configureLink(h *netlink.Handle, link netlink.Link, dst *net.IPNet, src net.IP, neighbour net.HardwareAddr) error {
	if err := h.LinkSetUp(link); err != nil {
		return fmt.Errorf("set up: %w", err)
	}
	index := link.Attrs().Index
	if err := h.RouteAdd(&netlink.Route{LinkIndex: index, Scope: netlink.SCOPE_LINK, Dst: dst, Src: src}); err != nil {
		return fmt.Errorf("add route: %w", err)
	}
	if err := h.NeighSet(
		&netlink.Neigh{LinkIndex: index, State: netlink.NUD_PERMANENT, IP: dst.IP, HardwareAddr: neighbour},
	); err != nil {
		return fmt.Errorf("add neighbour: %w", err)
	}
	return nil
}

func (e *endpoint) close() {
	if link, err := netlink.LinkByName(e.link); err == nil {
		_ = netlink.LinkDel(link)
	}
	e.ns.Close()
	e.free()
}
