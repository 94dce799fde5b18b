// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
)

// outside is the listener that Enter made in the machine's network; it serves one sandbox after the other.
var outside = sync.OnceValues(func() (net.Listener, error) {
	f := os.NewFile(bridgeFD, "bridge")
	defer f.Close()
	return net.FileListener(f)
})

// openBridge leads connections from the machine's 127.0.0.1 to the API server and writes the kubeconfig that points
// there.
func (s *Sandbox) openBridge() error {
	listener, err := outside()
	if err != nil {
		return fmt.Errorf("open the port on the machine: %w", err)
	}
	bridgeOnce.Do(func() { go serveBridge(listener, s.control.address()) })
	return s.writeKubeconfig(s.outsideKubeconfig, AdminUser, joinPort("127.0.0.1", os.Getenv(envAPIPort)))
}

var bridgeOnce sync.Once

func serveBridge(listener net.Listener, target string) {
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		go func() {
			defer conn.Close()
			server, err := net.Dial("tcp", target)
			if err != nil {
				return
			}
			defer server.Close()
			go func() {
				_, _ = io.Copy(server, conn)
				server.Close()
			}()
			_, _ = io.Copy(conn, server)
		}()
	}
}
