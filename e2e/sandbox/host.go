// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
)

// Host is a place in the sandbox's network that is no pod: a network namespace with an address of its own, where the
// operator or a client runs, and which faults can part from pods and API server like any pod.
type Host struct {
	name     string
	endpoint *endpoint
}

// NewHost connects a new Host. The name is for people only.
func (s *Sandbox) NewHost(name string) (*Host, error) {
	e, err := s.network.newEndpoint()
	if err != nil {
		return nil, fmt.Errorf("host %s: %w", name, err)
	}
	return &Host{name: name, endpoint: e}, nil
}

// Addr returns the address that others see as the source of the Host's connections.
func (h *Host) Addr() netip.Addr { return h.endpoint.addr }

// Name returns the name given to NewHost.
func (h *Host) Name() string { return h.name }

// Command is exec.CommandContext for a process in the Host's network. ExtraFiles is taken: append to it, and the
// process finds the appended files from descriptor 4 on.
func (h *Host) Command(ctx context.Context, path string, args ...string) *exec.Cmd {
	if resolved, err := exec.LookPath(path); err == nil {
		path = resolved
	}
	cmd := exec.CommandContext(ctx, selfExecutable, append([]string{path}, args...)...)
	cmd.Args[0] = helperHost
	cmd.ExtraFiles = []*os.File{h.endpoint.ns}
	return cmd
}

// DialContext connects from the Host's address. The address must hold an IP: the sandbox has no DNS.
func (h *Host) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	if _, err := netip.ParseAddrPort(address); err != nil {
		return nil, fmt.Errorf("dial from %s: %w", h.name, err)
	}
	var conn net.Conn
	err := inNetNS(h.endpoint.ns, func() error {
		var err error
		// With a literal address the dialler makes its socket on the calling thread, which is the one in the namespace.
		conn, err = (&net.Dialer{}).DialContext(ctx, network, address)
		return err
	})
	return conn, err
}

// Listen listens at a port of the Host's address, in this process.
func (h *Host) Listen(port int) (net.Listener, error) {
	var listener net.Listener
	err := inNetNS(h.endpoint.ns, func() error {
		var err error
		listener, err = net.ListenTCP("tcp", &net.TCPAddr{Port: port})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", h.name, err)
	}
	return listener, nil
}

// Close disconnects the Host. Its processes lose their network and are otherwise left alone.
func (h *Host) Close() error {
	h.endpoint.close()
	return nil
}
