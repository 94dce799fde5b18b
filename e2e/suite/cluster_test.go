package suite

import (
	"context"
	"errors"
	"fmt"
	"os"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/e2e/stage"
)

// cluster is the kind cluster, seen as its administrator.
type cluster struct {
	config *rest.Config
	client client.WithWatch
	kube   kubernetes.Interface
	// control is the name of the control plane's node, which is that of its container.
	control string
}

func connect() (*cluster, error) {
	path := os.Getenv(envKubeconfig)
	if path == "" {
		return nil, errors.New("set " + envKubeconfig + " to the kubeconfig of the kind cluster; make e2e does")
	}
	config, err := clientcmd.BuildConfigFromFlags("", path)
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = 100, 200
	scheme, err := stage.Scheme()
	if err != nil {
		return nil, err
	}
	c := &cluster{config: config}
	if c.client, err = client.NewWithWatch(config, client.Options{Scheme: scheme}); err != nil {
		return nil, err
	}
	if c.kube, err = kubernetes.NewForConfig(config); err != nil {
		return nil, err
	}
	nodes := &corev1.NodeList{}
	if err := c.client.List(context.Background(), nodes, client.HasLabels{"node-role.kubernetes.io/control-plane"}); err != nil {
		return nil, err
	}
	if len(nodes.Items) != 1 {
		return nil, fmt.Errorf("%d control planes, want one", len(nodes.Items))
	}
	c.control = nodes.Items[0].Name
	return c, nil
}
