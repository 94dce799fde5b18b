// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// startProbes runs the probes of one incarnation until the context ends. Liveness and readiness begin when the startup
// probe has succeeded.
func (c *container) startProbes(ctx context.Context, p *process) *sync.WaitGroup {
	var probes sync.WaitGroup
	spec := c.spec()
	begin := func() {
		if spec.LivenessProbe != nil {
			probes.Go(func() { c.guard(ctx, p, spec.LivenessProbe, "liveness") })
		}
		if spec.ReadinessProbe != nil {
			probes.Go(func() { c.watchReadiness(ctx, p, spec.ReadinessProbe) })
		}
	}
	if spec.StartupProbe == nil {
		begin()
		return &probes
	}
	probes.Go(func() {
		if c.guard(ctx, p, spec.StartupProbe, "startup") {
			c.update(func() { c.started, c.ready = true, spec.ReadinessProbe == nil })
			begin()
		}
	})
	return &probes
}

// guard runs a liveness or startup probe: enough failures in a row ask for the end of the incarnation. A startup probe
// returns true at its first success.
func (c *container) guard(ctx context.Context, p *process, probe *corev1.Probe, kind string) bool {
	failures := int32(0)
	passed := false
	c.each(ctx, probe, func() bool {
		err := c.probe(ctx, p, probe)
		switch {
		case ctx.Err() != nil:
			return false
		case err == nil:
			failures = 0
			passed = kind == "startup"
			return !passed
		}
		c.w.warn("Unhealthy", "container %s: %s probe failed: %v", c.name, kind, err)
		if failures++; failures < max(probe.FailureThreshold, 1) {
			return true
		}
		select {
		case c.kill <- fmt.Sprintf("%s probe failed: %v", kind, err):
		default:
		}
		return false
	})
	return passed
}

func (c *container) watchReadiness(ctx context.Context, p *process, probe *corev1.Probe) {
	successes, failures := int32(0), int32(0)
	c.each(ctx, probe, func() bool {
		err := c.probe(ctx, p, probe)
		if ctx.Err() != nil {
			return false
		}
		if err == nil {
			successes, failures = successes+1, 0
		} else {
			successes, failures = 0, failures+1
			c.w.warn("Unhealthy", "container %s: readiness probe failed: %v", c.name, err)
		}
		switch {
		case successes >= max(probe.SuccessThreshold, 1):
			c.setReady(true)
		case failures >= max(probe.FailureThreshold, 1):
			c.setReady(false)
		}
		return true
	})
}

func (c *container) setReady(ready bool) {
	c.w.mu.Lock()
	changed := c.ready != ready
	c.ready = ready
	c.w.mu.Unlock()
	if changed {
		notify(c.w.dirty)
	}
}

// each calls f after the initial delay and then every period, until f returns false.
func (c *container) each(ctx context.Context, probe *corev1.Probe, f func() bool) {
	select {
	case <-ctx.Done():
		return
	case <-time.After(time.Duration(probe.InitialDelaySeconds) * time.Second):
	}
	ticker := time.NewTicker(time.Duration(max(probe.PeriodSeconds, 1)) * time.Second)
	defer ticker.Stop()
	for {
		if c.w.thawed(ctx); ctx.Err() != nil || !f() {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (c *container) probe(ctx context.Context, p *process, probe *corev1.Probe) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(max(probe.TimeoutSeconds, 1))*time.Second)
	defer cancel()
	switch {
	case probe.Exec != nil:
		code, output, err := p.output(ctx, probe.Exec.Command...)
		if err == nil && code != 0 {
			err = fmt.Errorf("exit code %d: %s", code, strings.TrimSpace(output))
		}
		return err
	case probe.TCPSocket != nil:
		address, err := c.address(probe.TCPSocket.Host, probe.TCPSocket.Port)
		if err != nil {
			return err
		}
		conn, err := c.w.dialer().DialContext(ctx, "tcp", address)
		if err != nil {
			return err
		}
		return conn.Close()
	case probe.HTTPGet != nil:
		return c.probeHTTP(ctx, probe.HTTPGet)
	}
	return errors.New("a kind of probe that the sandbox does not have")
}

// address resolves a probe's port, which may be the name of one of the container's.
func (c *container) address(host string, port intstr.IntOrString) (string, error) {
	if host == "" {
		host = c.w.addr()
	}
	if port.Type == intstr.Int {
		return net.JoinHostPort(host, port.String()), nil
	}
	for _, p := range c.spec().Ports {
		if p.Name == port.StrVal {
			return net.JoinHostPort(host, strconv.Itoa(int(p.ContainerPort))), nil
		}
	}
	if number, err := strconv.Atoi(port.StrVal); err == nil {
		return net.JoinHostPort(host, strconv.Itoa(number)), nil
	}
	return "", fmt.Errorf("container has no port %q", port.StrVal)
}

// dialer connects from the node's address.
func (w *worker) dialer() *net.Dialer {
	return &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(w.r.hostIP(w.latest().Spec.NodeName))}}
}

// probeClient does as kubelets do: no certificate check, no kept connection.
func (w *worker) probeClient() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: w.dialer().DialContext, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, DisableKeepAlives: true,
	}}
}

func (c *container) probeHTTP(ctx context.Context, get *corev1.HTTPGetAction) error {
	address, err := c.address(get.Host, get.Port)
	if err != nil {
		return err
	}
	url := cmp.Or(strings.ToLower(string(get.Scheme)), "http") + "://" + address + "/" + strings.TrimPrefix(get.Path, "/")
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	for _, header := range get.HTTPHeaders {
		request.Header.Add(header.Name, header.Value)
	}
	response, err := c.w.probeClient().Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10))
	if response.StatusCode < 200 || response.StatusCode >= 400 {
		return fmt.Errorf("HTTP probe failed with status %s", response.Status)
	}
	return nil
}
