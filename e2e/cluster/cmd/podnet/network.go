// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"

	"github.com/vishvananda/netlink"
	corev1 "k8s.io/api/core/v1"
)

// routeProtocol marks the routes that are ours, so that those that are not wanted any more can be told from others.
const routeProtocol = 201

// configFile is where containerd looks for the network of pods. A node is ready only when it exists.
const configFile = "/etc/cni/net.d/10-podnet.conflist"

// setRoutes leads to the range of each node through its address, and nowhere else.
func setRoutes(nodes []*corev1.Node) error {
	wanted := map[string]bool{}
	for _, node := range nodes {
		_, destination, err := net.ParseCIDR(node.Spec.PodCIDR)
		if err != nil {
			return fmt.Errorf("node %s: %w", node.Name, err)
		}
		gateway := internalIP(node)
		if gateway == nil {
			continue
		}
		wanted[destination.String()] = true
		route := &netlink.Route{Dst: destination, Gw: gateway, Protocol: routeProtocol}
		if err := netlink.RouteReplace(route); err != nil {
			return fmt.Errorf("route to node %s: %w", node.Name, err)
		}
	}
	routes, err := netlink.RouteListFiltered(
		netlink.FAMILY_V4, &netlink.Route{Protocol: routeProtocol}, netlink.RT_FILTER_PROTOCOL,
	)
	if err != nil {
		return err
	}
	for _, route := range routes {
		if route.Dst == nil || wanted[route.Dst.String()] {
			continue
		}
		if err := netlink.RouteDel(&route); err != nil {
			return fmt.Errorf("route to %s: %w", route.Dst, err)
		}
	}
	return nil
}

func internalIP(node *corev1.Node) net.IP {
	for _, address := range node.Status.Addresses {
		if address.Type == corev1.NodeInternalIP {
			return net.ParseIP(address.Address)
		}
	}
	return nil
}

// writeConfig gives each pod of this node a pair of interfaces and an address of the range.
func writeConfig(cidr string) error {
	type object = map[string]any
	data, err := json.Marshal(object{"cniVersion": "0.4.0", "name": "podnet", "plugins": []object{{
		"type": "ptp",
		"ipam": object{
			"type":    "host-local",
			"dataDir": "/run/podnet",
			"routes":  []object{{"dst": "0.0.0.0/0"}},
			"ranges":  [][]object{{{"subnet": cidr}}},
		},
	}}})
	if err != nil {
		return err
	}
	if present, err := os.ReadFile(configFile); err == nil && string(present) == string(data) {
		return nil
	}
	temporary := configFile + ".new"
	if err := os.WriteFile(temporary, data, 0o644); err != nil {
		return err
	}
	return os.Rename(temporary, configFile)
}
