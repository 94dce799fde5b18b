// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"os"
	"strings"
)

// The nodes have a network of their own, so that the rule below is about them only and Down can remove it.
const (
	networkName = "redisha"
	bridgeName  = "redisha0"
	chain       = "REDISHA-KIND"
)

// raiseFence sees to it that nothing in a container reaches beyond the machine: what comes from the nodes' bridge is
// forwarded to nodes only. Where the machine forwards at all, the rest is refused, not dropped, so that whoever tries
// need not wait to learn it.
func raiseFence(ctx context.Context) error {
	if err := lowerFence(ctx); err != nil {
		return err
	}
	parent := "FORWARD"
	if _, err := iptables(ctx, "-S", "DOCKER-USER"); err == nil {
		parent = "DOCKER-USER" // which an engine with rules of its own asks first
	}
	for _, rule := range []string{
		"-N " + chain,
		"-A " + chain + " -i " + bridgeName + " -o " + bridgeName + " -j ACCEPT",
		"-A " + chain + " -i " + bridgeName + " -j REJECT",
		"-I " + parent + " -j " + chain,
	} {
		if _, err := iptables(ctx, strings.Fields(rule)...); err != nil {
			return fmt.Errorf("no fence around the containers: %w", err)
		}
	}
	return nil
}

// keepFence raises the fence again where it is gone, as after a reboot.
func keepFence(ctx context.Context) error {
	for _, parent := range []string{"DOCKER-USER", "FORWARD"} {
		if _, err := iptables(ctx, "-C", parent, "-j", chain); err == nil {
			return nil
		}
	}
	return raiseFence(ctx)
}

// lowerFence removes what raiseFence has done, if it has.
func lowerFence(ctx context.Context) error {
	if _, err := iptables(ctx, "-S", chain); err != nil {
		return ctx.Err() // there is none, or no iptables
	}
	for _, parent := range []string{"FORWARD", "DOCKER-USER"} {
		for {
			if _, err := iptables(ctx, "-D", parent, "-j", chain); err != nil {
				break
			}
		}
	}
	for _, flag := range []string{"-F", "-X"} {
		if _, err := iptables(ctx, flag, chain); err != nil {
			return err
		}
	}
	return nil
}

// iptables needs root, on a hosted runner by way of sudo.
func iptables(ctx context.Context, args ...string) (string, error) {
	args = append([]string{"iptables", "-w", "10"}, args...)
	if os.Geteuid() == 0 {
		return run(ctx, args[0], args[1:]...)
	}
	return run(ctx, "sudo", append([]string{"-n"}, args...)...)
}

func createNetwork(ctx context.Context) error {
	if _, err := run(ctx, "docker", "network", "inspect", networkName); err == nil || ctx.Err() != nil {
		return ctx.Err()
	}
	_, err := run(ctx, "docker", "network", "create", "--driver", "bridge",
		"--opt", "com.docker.network.bridge.name="+bridgeName,
		"--opt", "com.docker.network.bridge.enable_ip_masquerade=false", networkName)
	return err
}

func removeNetwork(ctx context.Context) error {
	if _, err := run(ctx, "docker", "network", "inspect", networkName); err != nil {
		return ctx.Err()
	}
	_, err := run(ctx, "docker", "network", "rm", networkName)
	return err
}
