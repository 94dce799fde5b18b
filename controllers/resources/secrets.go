// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/accounts"
	"github.com/redisha/redisha/controllers/encryption"
	"github.com/redisha/redisha/controllers/passwords"
	"github.com/redisha/redisha/redisclient"
)

// maxPasswordLength is CONFIG_AUTHPASS_MAX_LEN of Redis.
const maxPasswordLength = 512

// GeneratedSecret holds a password that the operator made.
func GeneratedSecret(rha *v1alpha1.RedisHA, password string) *corev1.Secret {
	return secret(rha, GeneratedSecretName(rha.Name), map[string][]byte{PasswordKey: []byte(password)})
}

// AuthConf is the key of what MountSecret has of redis.conf.
const AuthConf = "auth.conf"

// MountSecret holds the users in force with their passwords, and what connections are encrypted with, the way the pods
// need it; and the files of the state before, which a process may be about to read.
func MountSecret(rha *v1alpha1.RedisHA, inForce accounts.State, state, before encryption.State) *corev1.Secret {
	data := state.Files(before)
	data[PasswordKey] = []byte(inForce.Default.Current)
	data[accounts.Key] = inForce.File()
	if others := inForce.Default.File(); others != nil {
		data[passwords.Key] = others
	}
	if password := inForce.PodPassword(); password != "" {
		data[accounts.PodPasswordKey] = []byte(password)
	}
	data[AuthConf] = []byte(inForce.Conf() + state.Conf(authDir))
	return secret(rha, MountSecretName(rha.Name), data)
}

// UsersSecret holds what no Secret of a person's holds of the users in force, a second time: it is there when
// MountSecret was deleted while no operator ran.
func UsersSecret(rha *v1alpha1.RedisHA, inForce accounts.State) *corev1.Secret {
	return secret(rha, UsersSecretName(rha.Name), map[string][]byte{accounts.Key: inForce.File()})
}

// HoldsUsers reports that the settings in a MountSecret are of those users. One from before there were others than the
// default user has a password only, which replicas show as well.
func HoldsUsers(data map[string][]byte, inForce accounts.State) bool {
	conf, users := string(data[AuthConf]), inForce.Conf()
	if len(data[accounts.Key]) == 0 {
		_, shown, _ := strings.Cut(users, "masterauth ")
		return inForce.Default.Current != "" && strings.Contains(conf, "masterauth "+shown)
	}
	return inForce.Default.Current != "" && strings.HasPrefix(conf, users)
}

// ProcessEncryption is what a process is to be like.
func ProcessEncryption(state encryption.State) redisclient.Encryption {
	return state.Encryption(authDir)
}

// GeneratedTLSSecret holds the authority and the certificate that the operator made.
func GeneratedTLSSecret(rha *v1alpha1.RedisHA, data map[string][]byte) *corev1.Secret {
	made := secret(rha, GeneratedTLSSecretName(rha.Name), data)
	made.Type = corev1.SecretTypeTLS
	return made
}

func secret(rha *v1alpha1.RedisHA, name string, data map[string][]byte) *corev1.Secret {
	return &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: meta(rha, name),
		Type:       corev1.SecretTypeOpaque,
		Data:       data,
	}
}

// CheckPassword says why a password cannot be used; the error never holds it.
func CheckPassword(password string) error {
	switch {
	case password == "":
		return errors.New("is empty")
	case len(password) > maxPasswordLength:
		return fmt.Errorf("is longer than the %d bytes Redis takes", maxPasswordLength)
	case strings.HasSuffix(password, "\n"):
		return errors.New("ends with a line break, which clients would have to send too (write it with printf, not echo)")
	case strings.ContainsFunc(password, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return errors.New("holds a control character")
	}
	return nil
}
