// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// TLSSpec encrypts connections. Encrypted ones are taken at port 6380, of the pods and of the Services; port 6379 is
// for those in clear. Operator and replicas use encrypted ones.
type TLSSpec struct {
	// secretRef names the certificate that every Redis shows: a Secret of type kubernetes.io/tls in the same namespace,
	// with tls.crt, tls.key and ca.crt, as cert-manager writes it. Absent: the operator makes an authority and a
	// certificate, in Secret NAME-generated-tls.
	// +optional
	SecretRef *TLSSecretReference `json:"secretRef,omitempty"`
	// clientCertificates says what is asked of clients.
	// +kubebuilder:default=None
	// +optional
	ClientCertificates ClientCertificates `json:"clientCertificates,omitempty"`
	// plaintext says whether connections in clear are taken as well. A set that has clients in clear gets TLS without an
	// outage with Allowed, and then, when the last of them has changed over, Refused.
	// +kubebuilder:default=Refused
	// +optional
	Plaintext Plaintext `json:"plaintext,omitempty"`
	// trustFormerCASeconds is for how long an authority is trusted that the Secret named before, and does not name now.
	// +kubebuilder:default=86400
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=31536000
	// +optional
	TrustFormerCASeconds *int32 `json:"trustFormerCASeconds,omitempty"`
}

// TLSSecretReference names a Secret of type kubernetes.io/tls in the same namespace.
type TLSSecretReference struct {
	// name of the Secret.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Name string `json:"name"`
}

// ClientCertificates says what is asked of clients.
//
// +kubebuilder:validation:Enum=None;Optional;Required
type ClientCertificates string

// What is asked of clients.
const (
	// ClientCertificatesNone looks at no certificate of a client.
	ClientCertificatesNone ClientCertificates = "None"
	// ClientCertificatesOptional takes clients without a certificate, and refuses those whose certificate is not signed
	// by a trusted authority.
	ClientCertificatesOptional ClientCertificates = "Optional"
	// ClientCertificatesRequired takes only clients with a certificate that a trusted authority has signed.
	ClientCertificatesRequired ClientCertificates = "Required"
)

// Plaintext says whether connections in clear are taken.
//
// +kubebuilder:validation:Enum=Refused;Allowed
type Plaintext string

// Whether connections in clear are taken.
const (
	// PlaintextRefused closes port 6379 and disconnects who came by it.
	PlaintextRefused Plaintext = "Refused"
	// PlaintextAllowed takes both.
	PlaintextAllowed Plaintext = "Allowed"
)

// TLSStage is how far encryption is on its way. Each stage is reached when every pod has made it.
type TLSStage string

// Stages, in the order in which they are passed, and in the other one when TLS is turned off.
const (
	// TLSStageClear takes connections in clear only.
	TLSStageClear TLSStage = "Clear"
	// TLSStageOffered takes encrypted connections as well.
	TLSStageOffered TLSStage = "Offered"
	// TLSStageUsed has operator, replicas and Services use them.
	TLSStageUsed TLSStage = "Used"
	// TLSStageRequired takes no others.
	TLSStageRequired TLSStage = "Required"
)

// TLSStatus is how connections are encrypted.
type TLSStatus struct {
	// stage that every pod has reached: Clear, Offered, Used or Required.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	Stage TLSStage `json:"stage,omitempty"`
	// notAfter is when the certificate ends that Redis shows.
	// +optional
	NotAfter *metav1.Time `json:"notAfter,omitempty"`
	// formerCATrustedUntil is until when an authority is trusted that the Secret does not name any more.
	// +optional
	FormerCATrustedUntil *metav1.Time `json:"formerCATrustedUntil,omitempty"`
}
