// SPDX-License-Identifier: Apache-2.0

package suite

import (
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/e2e/cluster"
	"github.com/redisha/redisha/e2e/testbed"
)

// environment is the kind cluster, seen as its administrator.
type environment struct {
	*cluster.Cluster
	config *rest.Config
	client client.WithWatch
	kube   kubernetes.Interface
}

func connect() (*environment, error) {
	c, err := cluster.Open()
	if err != nil {
		return nil, err
	}
	p := &environment{Cluster: c}
	if p.config, err = c.Config(); err != nil {
		return nil, err
	}
	p.config.QPS, p.config.Burst = 100, 200
	scheme, err := testbed.Scheme()
	if err != nil {
		return nil, err
	}
	if p.client, err = client.NewWithWatch(p.config, client.Options{Scheme: scheme}); err != nil {
		return nil, err
	}
	if p.kube, err = kubernetes.NewForConfig(p.config); err != nil {
		return nil, err
	}
	return p, nil
}

// image is the Redis that runs where a scenario does not say otherwise.
func (p *environment) image() string { return setting(envImage, p.Images.Servers[0].Image) }

// others are the other images of Redis and Valkey that the nodes have.
func (p *environment) others() []cluster.Server { return p.Images.Servers[1:] }
