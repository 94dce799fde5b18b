// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"strings"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// User is whom the API server knows by a token. What they may do is RBAC's business.
type User struct {
	Name   string
	Groups []string
}

// Users that every sandbox has. The operator's is the identity its ServiceAccount has in a cluster, so that the RBAC
// rules of config/rbac apply to it as they are.
const (
	AdminUser    = "sandbox:admin"
	OperatorUser = "system:serviceaccount:redisha-system:redisha-controller-manager"

	controllerManagerUser = "sandbox:kube-controller-manager"
	runnerUser            = "sandbox:pod-runner"
)

const mastersGroup = "system:masters"

func standardUsers() []User {
	return []User{
		{AdminUser, []string{mastersGroup}},
		{controllerManagerUser, []string{mastersGroup}},
		{runnerUser, []string{mastersGroup}},
		{OperatorUser, []string{"system:serviceaccounts", "system:serviceaccounts:redisha-system"}},
	}
}

// writeTokens writes the API server's static token file and returns the tokens by user.
func writeTokens(path string, users []User) (map[string]string, error) {
	tokens := map[string]string{}
	var lines strings.Builder
	for _, u := range users {
		if _, twice := tokens[u.Name]; twice {
			return nil, fmt.Errorf("user %s is named twice", u.Name)
		}
		tokens[u.Name] = rand.Text()
		fmt.Fprintf(&lines, "%s,%s,%s,%q\n", tokens[u.Name], u.Name, u.Name, strings.Join(u.Groups, ","))
	}
	return tokens, os.WriteFile(path, []byte(lines.String()), 0o600)
}

// AdminConfig returns the configuration of a client that may do everything.
func (s *Sandbox) AdminConfig() *rest.Config { return s.mustConfig(AdminUser) }

// Config returns the client configuration of one of the sandbox's users, for use inside the sandbox.
func (s *Sandbox) Config(user string) (*rest.Config, error) {
	token, ok := s.control.tokens[user]
	if !ok {
		return nil, fmt.Errorf("the sandbox has no user %q: name it in Options.Users", user)
	}
	return &rest.Config{
		Host:            "https://" + s.control.address(),
		BearerToken:     token,
		TLSClientConfig: rest.TLSClientConfig{CAData: s.control.certificate},
		// A test that waits for a client-side limiter measures the limiter.
		QPS: -1,
	}, nil
}

func (s *Sandbox) mustConfig(user string) *rest.Config {
	config, err := s.Config(user)
	if err != nil {
		panic(err) // only for the standard users, who are always there
	}
	return config
}

// WriteKubeconfig writes a kubeconfig of the user for processes inside the sandbox.
func (s *Sandbox) WriteKubeconfig(path, user string) error {
	return s.writeKubeconfig(path, user, s.control.address())
}

// OutsideKubeconfig returns the path of an administrator's kubeconfig for kubectl on the machine, outside the sandbox.
func (s *Sandbox) OutsideKubeconfig() string { return s.outsideKubeconfig }

func (s *Sandbox) writeKubeconfig(path, user, address string) error {
	token, ok := s.control.tokens[user]
	if !ok {
		return fmt.Errorf("the sandbox has no user %q: name it in Options.Users", user)
	}
	const name = "redisha-sandbox"
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{
		Server:                   "https://" + address,
		CertificateAuthorityData: s.control.certificate,
	}
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: token}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	config.CurrentContext = name
	return clientcmd.WriteToFile(*config, path)
}

func joinPort(host, port string) string { return net.JoinHostPort(host, port) }
