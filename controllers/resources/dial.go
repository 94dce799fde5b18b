// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"crypto/tls"
	"net"
	"strconv"

	corev1 "k8s.io/api/core/v1"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/accounts"
	"github.com/redisha/redisha/controllers/encryption"
	"github.com/redisha/redisha/redisclient"
)

// RedisOptions is how the Redis of a pod is talked to, by the Secret that it mounts: in clear or encrypted, as
// the operator or, where that is not known, as the default user.
func RedisOptions(pod *corev1.Pod, mounted map[string][]byte) redisclient.Options {
	known, state := accounts.In(mounted, PasswordKey), encryption.In(mounted)
	port, options := RedisPort, redisclient.Options{Credentials: known.Shown}
	if state.Used() {
		config := state.Config()
		config.ServerName = ServerName(pod.Namespace, pod.Labels[v1alpha1.LabelName], pod.Name)
		port, options.TLS = RedisTLSPort, func() *tls.Config { return config }
	}
	options.Addr = net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(int(port)))
	return options
}
