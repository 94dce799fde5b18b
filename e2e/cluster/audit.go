// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"context"
	_ "embed" // what the control plane is told is in files
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"sigs.k8s.io/kind/pkg/apis/config/v1alpha4"
)

//go:embed controlplane/audit.yaml
var auditPolicy []byte

//go:embed controlplane/kubeadm.yaml
var kubeadmPatch string

//go:embed controlplane/kubelet.yaml
var kubeletPatch string

// Where kubeadm.yaml says that the policy and the log are, on the control plane.
const (
	auditPolicyDir = "/etc/kubernetes/audit"
	auditLogs      = "/var/log/kubernetes/audit*.log" // the present one and those that were rotated out
)

// auditMount writes the policy for the API server's audit log, and says how it gets onto the control plane.
func auditMount(dir string) (v1alpha4.Mount, error) {
	file := filepath.Join(dir, "audit.yaml")
	mount := v1alpha4.Mount{HostPath: file, ContainerPath: path.Join(auditPolicyDir, filepath.Base(file)), Readonly: true}
	return mount, os.WriteFile(file, auditPolicy, 0o644)
}

// hasAuditLog looks whether the control plane was made with an audit log, and by the present policy.
func hasAuditLog(ctx context.Context) error {
	policy, err := run(ctx, "docker", "exec", ControlPlane, "cat", path.Join(auditPolicyDir, "audit.yaml"))
	if err != nil {
		return fmt.Errorf("the API server keeps no audit log: %w", err)
	}
	if policy != strings.TrimSpace(string(auditPolicy)) {
		return fmt.Errorf("the API server keeps another audit log than is asked for now")
	}
	return nil
}

// AuditEvent is the part of an audit.k8s.io/v1 Event that tells what the operator asked for, and whether it was allowed
// to.
type AuditEvent struct {
	Verb string    `json:"verb"`
	URI  string    `json:"requestURI"`
	At   time.Time `json:"requestReceivedTimestamp"`
	User struct {
		Extra map[string][]string `json:"extra"`
	} `json:"user"`
	ObjectRef struct {
		APIGroup    string `json:"apiGroup"`
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		Namespace   string `json:"namespace"`
	} `json:"objectRef"`
	ResponseStatus struct {
		Code    int    `json:"code"`
		Message string `json:"message"`
	} `json:"responseStatus"`
}

// PodUID is the pod that asked, as its token says.
func (e AuditEvent) PodUID() string {
	return strings.Join(e.User.Extra["authentication.kubernetes.io/pod-uid"], ",")
}

// AuditEvents are the operator's requests since that instant, as far as the log reaches back: to the last 32 MB of
// them.
func (c *Cluster) AuditEvents(ctx context.Context, since time.Time) ([]AuditEvent, error) {
	text, err := run(ctx, "docker", "exec", ControlPlane, "sh", "-c", "cat "+auditLogs)
	if err != nil {
		return nil, err
	}
	return parseAudit([]byte(text), since)
}

func parseAudit(text []byte, since time.Time) ([]AuditEvent, error) {
	var events []AuditEvent
	for line := range bytes.Lines(text) {
		var event AuditEvent
		if err := json.Unmarshal(line, &event); err != nil {
			if !bytes.HasSuffix(line, []byte("\n")) {
				continue // the end of a file that is being written
			}
			return nil, fmt.Errorf("line %q of the audit log: %w", line, err)
		}
		if !event.At.Before(since) {
			events = append(events, event)
		}
	}
	return events, nil
}
