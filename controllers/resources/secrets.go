// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/redisha/redisha/api/v1alpha1"
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

// MountSecret holds the passwords in force, and what connections are encrypted with, the way the pods need it; and the
// files of the state before, which a process may be about to read.
func MountSecret(rha *v1alpha1.RedisHA, inForce passwords.State, state, before encryption.State) *corev1.Secret {
	data := state.Files(before)
	data[PasswordKey] = []byte(inForce.Current)
	if others := inForce.File(); others != nil {
		data[passwords.Key] = others
	}
	data[AuthConf] = []byte(passwordConf(inForce) + state.Conf(authDir))
	return secret(rha, MountSecretName(rha.Name), data)
}

// passwordConf are the settings of redis.conf with the passwords. Several are what an ACL has, and requirepass has not.
func passwordConf(inForce passwords.State) string {
	shown := quote(inForce.Current)
	accepted := inForce.Passwords().Accepted
	if len(accepted) == 1 {
		return fmt.Sprintf("requirepass %s\nmasterauth %s\n", shown, shown)
	}
	var rules strings.Builder
	for _, password := range accepted {
		rules.WriteString(" " + redisclient.PasswordRule(password))
	}
	return fmt.Sprintf("user default on%s ~* &* +@all\nmasterauth %s\n", rules.String(), shown)
}

// HoldsPasswords reports that the settings in a MountSecret are of those passwords.
func HoldsPasswords(data map[string][]byte, inForce passwords.State) bool {
	return inForce.Current != "" && strings.HasPrefix(string(data[AuthConf]), passwordConf(inForce))
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

// quote writes a value of redis.conf the way sdssplitargs of Redis reads it.
func quote(value string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
}
