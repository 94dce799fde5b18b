// SPDX-License-Identifier: Apache-2.0

package conditions

import (
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/redisha/redisha/api/v1alpha1"
)

// New is a condition of that type, True or False, with why.
func New(kind string, is bool, reason, message string) metav1.Condition {
	c := metav1.Condition{Type: kind, Status: metav1.ConditionFalse, Reason: reason, Message: message}
	if is {
		c.Status = metav1.ConditionTrue
	}
	return c
}

// MaxMessage is what the schema of a status takes of a message, in bytes.
const MaxMessage = 4096

// Bounded is a message as the status takes it. A longer one is cut: a message must not keep what it is about from being
// written.
func Bounded(message string) string {
	return strings.ToValidUTF8(message[:min(len(message), MaxMessage)], "")
}

// IsTrouble tells the reasons of Progressing that name a cause which does not go away by waiting, as a rule.
func IsTrouble(reason string) bool {
	return slices.Contains([]string{
		v1alpha1.ReasonFailedCreate,
		v1alpha1.ReasonUnschedulable,
		v1alpha1.ReasonImageNotPulled,
		v1alpha1.ReasonContainerNotStarted,
		v1alpha1.ReasonContainerFailing,
		v1alpha1.ReasonOOMKilled,
	}, reason)
}
