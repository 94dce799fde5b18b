// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/redisha/redisha/api/v1alpha1"
)

// maxPasswordLength is CONFIG_AUTHPASS_MAX_LEN of Redis.
const maxPasswordLength = 512

// GeneratedSecret holds a password that the operator made.
func GeneratedSecret(rha *v1alpha1.RedisHA, password string) *corev1.Secret {
	return secret(rha, GeneratedSecretName(rha.Name), map[string][]byte{PasswordKey: []byte(password)})
}

// MountSecret holds the password in force the way the pods need it.
func MountSecret(rha *v1alpha1.RedisHA, password string) *corev1.Secret {
	quoted := quote(password)
	return secret(rha, MountSecretName(rha.Name), map[string][]byte{
		PasswordKey: []byte(password),
		"auth.conf": []byte(fmt.Sprintf("requirepass %s\nmasterauth %s\n", quoted, quoted)),
	})
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
