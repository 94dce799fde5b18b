// SPDX-License-Identifier: Apache-2.0

// Package sandbox is a Kubernetes cluster in one process tree, without a container engine and without root: a real
// etcd, kube-apiserver, kube-controller-manager and kube-scheduler, and a small pod runner in the place of kubelet,
// kube-proxy and storage provisioner. Pods are real processes (redis-server of the machine) with a network address of
// their own, volumes mounted where the pod says, probes, restarts with back-off, grace periods and preStop hooks.
// SIGKILL, SIGSTOP and network partitions are real too.
//
// All of it lives in one user, network, pid and mount namespace that [Enter] makes by running the program again. When
// the program ends, however it ends, the kernel ends everything in the namespace with it.
//
//	func TestMain(m *testing.M) {
//		sandbox.Enter() // builds what is missing, runs the program again inside; returns only there
//		os.Exit(m.Run())
//	}
//
//	func TestFailover(t *testing.T) {
//		ctx := t.Context()
//		s, err := sandbox.Start(ctx, sandbox.Options{})           // ready in a few seconds; etcd, API server, 3 nodes
//		defer s.Stop()
//		err = s.ApplyYAML(ctx, "../config/crd/bases", "redis.yaml") // server-side apply as admin; files or folders
//		client, err := client.New(s.AdminConfig(), client.Options{})
//		operator, err := s.NewHost("operator")                     // a network namespace with an address of its own
//		err = s.WriteKubeconfig("/tmp/kc", sandbox.OperatorUser)
//		cmd := operator.Command(ctx, "/path/to/manager", "--kubeconfig=/tmp/kc") // an *exec.Cmd that runs there
//		conn, err := operator.DialContext(ctx, "tcp", "198.18.1.2:6379")         // dials from there, in this process
//		err = s.Signal("default", "cache-0", "redis", syscall.SIGKILL)
//		err = s.Partition(operator.Addr(), podAddr)                // drops silently, established connections too
//		err = s.HealAll()
//		err = s.StopAPIServer(ctx); err = s.StartAPIServer(ctx)
//		writes, err := s.AuditWrites(sandbox.OperatorUser)         // every API write of that user
//	}
//
// The API:
//
//	func Enter(prepare ...func(context.Context) error) // prepare runs outside first, where there is a network
//	func Start(ctx context.Context, options Options) (*Sandbox, error)
//	func (*Sandbox) Stop()
//	func (*Sandbox) AdminConfig() *rest.Config
//	func (*Sandbox) Config(user string) (*rest.Config, error)     // a user of Options.Users, AdminUser or OperatorUser
//	func (*Sandbox) WriteKubeconfig(path, user string) error      // for processes inside
//	func (*Sandbox) OutsideKubeconfig() string                    // path of one for kubectl on the machine
//	func (*Sandbox) ApplyYAML(ctx context.Context, paths ...string) error
//	func (*Sandbox) Apply(ctx context.Context, manifests []byte) error
//	func (*Sandbox) StopAPIServer(ctx context.Context) error
//	func (*Sandbox) StartAPIServer(ctx context.Context) error
//	func (*Sandbox) AuditWrites(user string) ([]AuditWrite, error)
//	func (*Sandbox) Signal(namespace, pod, container string, signal syscall.Signal) error // its program
//	func (*Sandbox) SignalContainer(namespace, pod, container string, signal syscall.Signal) error // its first process
//	func (*Sandbox) FailNode(ctx context.Context, name string) error  // a power cut
//	func (*Sandbox) RecoverNode(ctx context.Context, name string) error
//	func (*Sandbox) FreezeNode(ctx context.Context, name string) error // a machine that is paused
//	func (*Sandbox) ThawNode(ctx context.Context, name string) error
//	func (*Sandbox) Exec(ctx context.Context, namespace, pod, container string, command ...string) (string, error)
//	func (*Sandbox) PodAddr(namespace, pod string) (netip.Addr, error)
//	func (*Sandbox) PodLogPath(namespace, pod, container string) (string, error)
//	func (*Sandbox) NewHost(name string) (*Host, error)
//	func (*Sandbox) APIServerAddr() netip.Addr
//	func (*Sandbox) Partition(a, b netip.Addr) error              // both ways
//	func (*Sandbox) PartitionOneWay(from, to netip.Addr) error
//	func (*Sandbox) Heal(a, b netip.Addr) error
//	func (*Sandbox) Isolate(addr netip.Addr) error                // from everybody
//	func (*Sandbox) Rejoin(addr netip.Addr) error
//	func (*Sandbox) HealAll() error
//	func (*Host) Addr() netip.Addr
//	func (*Host) Command(ctx context.Context, path string, args ...string) *exec.Cmd
//	func (*Host) DialContext(ctx context.Context, network, address string) (net.Conn, error)
//	func (*Host) Close() error
//	func WaitFor(ctx context.Context, what string, condition func(context.Context) (bool, error)) error
//	func Sleep(ctx context.Context, d time.Duration) error
//	func KubeBinaries(ctx context.Context, progress io.Writer) (string, error)
//	func Kubectl(ctx context.Context, progress io.Writer) (string, error)
//	func RedisServer(ctx context.Context, progress io.Writer) (string, error)
//
// # Addresses
//
// Pods and Hosts have addresses from 198.18.1.1 on, which come back only when all have been used. The API server is
// 198.18.0.1, the nodes, from where probes come, are in 198.18.0.128/25, Services in 198.19.0.0/16. What goes through a
// Service comes from
// 198.18.0.2, in user space; a partition between client and endpoint holds there too.
//
// # What it does not do
//
// A user namespace made without root has a single user, so runAsUser and fsGroup are accepted and not honoured: every
// process is "root" of the namespace, which is the caller outside. Resource requests and limits are not enforced: a pod
// that is resized is told of as a kubelet does, and nothing else changes (a resizePolicy is not looked at). hostNetwork
// is ignored, a changed image of a running pod is not followed, and there is no DNS. Volumes live in memory, with the
// size that was asked for, so fsync is cheaper than on a disk. Images are the machine's own file system, read-only. A
// container that ends is restarted without the second or so that a kubelet takes to notice.
package sandbox
