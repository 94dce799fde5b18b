// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	remotecommandconstants "k8s.io/apimachinery/pkg/util/remotecommand"
	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
	utilexec "k8s.io/utils/exec"
)

const kubeletPort = 10250

// nodeServer answers what the API server asks kubelets on behalf of kubectl logs, exec and port-forward.
type nodeServer struct {
	runner   *runner
	listener net.Listener
	server   *http.Server
	control  *controlPlane
}

func newNodeServer(r *runner, control *controlPlane, nodes int) (*nodeServer, error) {
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return nil, err
	}
	for i := range nodes {
		if err := netlink.AddrReplace(lo, &netlink.Addr{IPNet: hostNet(nodeAddr(i))}); err != nil {
			return nil, fmt.Errorf("add the address of node %d: %w", i, err)
		}
	}
	listener, err := net.Listen("tcp4", fmt.Sprintf(":%d", kubeletPort))
	if err != nil {
		return nil, err
	}
	s := &nodeServer{runner: r, listener: listener, control: control}
	mux := http.NewServeMux()
	mux.HandleFunc("/containerLogs/{namespace}/{pod}/{container}", s.logs)
	mux.HandleFunc("/exec/{namespace}/{pod}/{container}", s.exec)
	mux.HandleFunc("/portForward/{namespace}/{pod}", s.portForward)
	s.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	return s, nil
}

func (s *nodeServer) run(ctx context.Context) {
	go func() { _ = s.server.ServeTLS(s.listener, s.control.file("tls.crt"), s.control.file("tls.key")) }()
	<-ctx.Done()
	s.server.Close()
	s.listener.Close()
}

const (
	streamIdleTimeout     = 4 * time.Hour
	streamCreationTimeout = 30 * time.Second
)

func (s *nodeServer) exec(response http.ResponseWriter, request *http.Request) {
	options, err := remotecommand.NewOptions(request)
	if err != nil {
		http.Error(response, err.Error(), http.StatusBadRequest)
		return
	}
	p, err := s.runner.process(request.PathValue("namespace"), request.PathValue("pod"), request.PathValue("container"))
	if err != nil {
		http.Error(response, err.Error(), http.StatusNotFound)
		return
	}
	remotecommand.ServeExec(
		response, request, executor{p}, request.PathValue("pod"), "", request.PathValue("container"),
		request.URL.Query()["command"], options, streamIdleTimeout, streamCreationTimeout,
		remotecommandconstants.SupportedStreamingProtocols,
	)
}

// executor is remotecommand.Executor for one process.
type executor struct{ p *process }

func (e executor) ExecInContainer(
	ctx context.Context, _, _, _ string, argv []string, in io.Reader, out, err io.WriteCloser, tty bool,
	resize <-chan remotecommand.TerminalSize, _ time.Duration,
) error {
	c := command{argv: argv, environment: e.p.spec.Env, dir: e.p.spec.Dir, stdin: in}
	if out != nil {
		c.stdout = out
	}
	if err != nil {
		c.stderr = err
	}
	var code int
	var failure error
	if tty {
		code, failure = e.p.execTerminal(ctx, c, resize)
	} else {
		code, failure = e.p.exec(ctx, c)
	}
	if failure == nil && code != 0 {
		return utilexec.CodeExitError{Err: fmt.Errorf("command terminated with exit code %d", code), Code: code}
	}
	return failure
}

func (s *nodeServer) portForward(response http.ResponseWriter, request *http.Request) {
	w, err := s.runner.find(request.PathValue("namespace"), request.PathValue("pod"))
	if err != nil {
		http.Error(response, err.Error(), http.StatusNotFound)
		return
	}
	options, err := portforward.NewV4Options(request)
	if err != nil {
		http.Error(response, err.Error(), http.StatusBadRequest)
		return
	}
	portforward.ServePortForward(response, request, forwarder{w}, request.PathValue("pod"), "", options,
		streamIdleTimeout, streamCreationTimeout, portforward.SupportedProtocols)
}

// forwarder is portforward.PortForwarder for one pod: it dials 127.0.0.1 in the pod, as a kubelet does.
type forwarder struct{ w *worker }

func (f forwarder) PortForward(
	ctx context.Context, _, _ string, port int32, stream io.ReadWriteCloser,
) error {
	defer stream.Close()
	f.w.mu.Lock()
	e := f.w.endpoint
	f.w.mu.Unlock()
	if e == nil {
		return errors.New("pod has no network yet")
	}
	var conn net.Conn
	err := inNetNS(e.ns, func() error {
		var err error
		conn, err = (&net.Dialer{Timeout: 5 * time.Second}).DialContext(
			ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))),
		)
		return err
	})
	if err != nil {
		return err
	}
	defer conn.Close()
	go func() {
		_, _ = io.Copy(conn, stream)
		conn.Close()
	}()
	_, err = io.Copy(stream, conn)
	if errors.Is(err, net.ErrClosed) || errors.Is(err, syscall.EPIPE) {
		return nil
	}
	return err
}
