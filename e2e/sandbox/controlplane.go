// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"k8s.io/client-go/rest"
)

const apiServerPort = "6443"

// controlPlane is etcd, kube-apiserver, kube-controller-manager and kube-scheduler on fixed ports: the network
// namespace is ours alone.
type controlPlane struct {
	dir, logs   string
	tokens      map[string]string
	certificate []byte
	etcd        *daemon
	apiServer   *daemon
	manager     *daemon
	scheduler   *daemon
}

func (c *controlPlane) address() string { return joinPort(apiServerAddr.String(), apiServerPort) }

func (c *controlPlane) file(name string) string { return filepath.Join(c.dir, name) }

// auditPolicy records who wrote what; the bodies are of no interest to the tests that count writes.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
- level: None
  verbs: [get, list, watch]
- level: Metadata
`

// newControlPlane writes the files that the processes read.
func newControlPlane(binaries, dir, logs string, users []User) (*controlPlane, error) {
	c := &controlPlane{dir: dir, logs: logs}
	for _, d := range []string{dir, logs} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, err
		}
	}
	var err error
	kubernetesService := servicePrefix.Addr().Next()
	c.certificate, err = writeServingCertificate(
		dir, net.IPv4(127, 0, 0, 1), apiServerAddr.AsSlice(), kubernetesService.AsSlice(),
	)
	if err != nil {
		return nil, fmt.Errorf("write certificate: %w", err)
	}
	if c.tokens, err = writeTokens(c.file("tokens.csv"), users); err != nil {
		return nil, fmt.Errorf("write tokens: %w", err)
	}
	if err := os.WriteFile(c.file("audit.yaml"), []byte(auditPolicy), 0o600); err != nil {
		return nil, err
	}
	if err := os.WriteFile(c.file("scheduler.yaml"), []byte(c.schedulerConfig()), 0o600); err != nil {
		return nil, err
	}
	c.etcd = newDaemon(binaries, logs, "etcd", c.etcdArgs()...)
	c.apiServer = newDaemon(binaries, logs, "kube-apiserver", c.apiServerArgs()...)
	c.manager = newDaemon(binaries, logs, "kube-controller-manager", c.managerArgs()...)
	c.scheduler = newDaemon(
		binaries, logs, "kube-scheduler", "--config="+c.file("scheduler.yaml"), "--secure-port=0",
	)
	return c, nil
}

const etcdURL = "http://127.0.0.1:2379"

func (c *controlPlane) etcdArgs() []string {
	const peer = "http://127.0.0.1:2380"
	return []string{
		"--name=sandbox", "--data-dir=" + c.file("etcd"), "--unsafe-no-fsync", "--log-level=warn",
		"--listen-client-urls=" + etcdURL, "--advertise-client-urls=" + etcdURL,
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer, "--initial-cluster=sandbox=" + peer,
	}
}

func (c *controlPlane) apiServerArgs() []string {
	return []string{
		"--etcd-servers=" + etcdURL,
		"--bind-address=0.0.0.0",
		"--secure-port=" + apiServerPort,
		"--advertise-address=" + apiServerAddr.String(),
		"--service-cluster-ip-range=" + servicePrefix.String(),
		"--tls-cert-file=" + c.file("tls.crt"),
		"--tls-private-key-file=" + c.file("tls.key"),
		"--token-auth-file=" + c.file("tokens.csv"),
		"--authorization-mode=RBAC",
		"--anonymous-auth=true",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-signing-key-file=" + c.file("tokens.key"),
		"--service-account-key-file=" + c.file("tokens.key"),
		"--allow-privileged=true",
		"--profiling=false",
		"--audit-policy-file=" + c.file("audit.yaml"),
		"--audit-log-path=" + c.auditLog(),
		"--shutdown-delay-duration=0s",
		"--kubelet-preferred-address-types=InternalIP",
	}
}

// controllers are those that something in a RedisHA's life depends on. The node lifecycle controller is not among them:
// the sandbox's nodes have no kubelet that would renew a lease.
var controllers = []string{
	"statefulset",
	"deployment",
	"replicaset",
	"daemonset",
	"job",
	"endpointslice",
	"disruption",
	"namespace",
	"serviceaccount",
	"serviceaccount-token",
	"garbage-collector",
	"pod-garbage-collector",
	"persistentvolume-binder",
	"persistentvolumeclaim-protection",
	"persistentvolume-protection",
	"root-ca-certificate-publisher",
	"taint-eviction",
	"clusterrole-aggregation",
	"horizontal-pod-autoscaler",
}

func (c *controlPlane) managerArgs() []string {
	names := make([]string, 0, len(controllers))
	for _, name := range controllers {
		names = append(names, name+"-controller")
	}
	return []string{
		"--kubeconfig=" + c.file("manager.kubeconfig"),
		"--leader-elect=false",
		"--controllers=" + strings.Join(names, ","),
		"--service-account-private-key-file=" + c.file("tokens.key"),
		"--root-ca-file=" + c.file("tls.crt"),
		"--kube-api-qps=500",
		"--kube-api-burst=1000",
		"--horizontal-pod-autoscaler-sync-period=2s",
		"--secure-port=0",
		"--enable-dynamic-provisioning=false",
		"--profiling=false",
	}
}

// schedulerConfig has a pod that fitted nowhere tried again within a second of the change that may make it fit.
func (c *controlPlane) schedulerConfig() string {
	return fmt.Sprintf(`apiVersion: kubescheduler.config.k8s.io/v1
kind: KubeSchedulerConfiguration
leaderElection: {leaderElect: false}
clientConnection: {kubeconfig: %q, qps: 500, burst: 1000}
podInitialBackoffSeconds: 1
podMaxBackoffSeconds: 1
`, c.file("manager.kubeconfig"))
}

func (c *controlPlane) auditLog() string { return filepath.Join(c.logs, "audit.log") }

func (c *controlPlane) start(ctx context.Context, admin *rest.Config) error {
	if err := c.etcd.start(); err != nil {
		return err
	}
	if err := c.etcd.waitReady(ctx, etcdReady); err != nil {
		return err
	}
	return c.startAPIServer(ctx, admin)
}

func etcdReady(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, etcdURL+"/readyz", nil)
	if err != nil {
		return err
	}
	return expectOK(http.DefaultClient.Do(request))
}

func expectOK(response *http.Response, err error) error {
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", response.Status)
	}
	return nil
}

func (c *controlPlane) startAPIServer(ctx context.Context, admin *rest.Config) error {
	client, err := rest.HTTPClientFor(admin)
	if err != nil {
		return err
	}
	if err := c.apiServer.start(); err != nil {
		return err
	}
	return c.apiServer.waitReady(ctx, func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, admin.Host+"/readyz", nil)
		if err != nil {
			return err
		}
		return expectOK(client.Do(request))
	})
}

func (c *controlPlane) stop() {
	// Nothing is worth saving.
	for _, d := range []*daemon{c.scheduler, c.manager, c.apiServer, c.etcd} {
		d.stop(context.Background(), syscall.SIGKILL)
	}
}
