// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 is the API of RedisHA: the types a person writes and reads
// with kubectl, their validation (schema and CEL, no webhook), and the closed
// lists of condition types and reasons. It holds no behaviour.
//
// +kubebuilder:object:generate=true
// +groupName=redisha.io
package v1alpha1
