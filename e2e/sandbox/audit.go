// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// AuditWrite is one request that changed something, or tried to, as the API server's audit log has it.
type AuditWrite struct {
	Time        time.Time
	User        string
	Verb        string // create, update, patch, delete, deletecollection
	Resource    string // plural, with its subresource after a slash
	Namespace   string
	Name        string
	Code        int // HTTP status
	RequestPath string
}

func (w AuditWrite) String() string {
	return fmt.Sprintf(
		"%s %s %s %s/%s by %s: %d", w.Time.Format("15:04:05.000"), w.Verb, w.Resource, w.Namespace, w.Name, w.User, w.Code,
	)
}

// auditEvent is the part of audit.k8s.io/v1 Event that is used here.
type auditEvent struct {
	Stage      string `json:"stage"`
	RequestURI string `json:"requestURI"`
	Verb       string `json:"verb"`
	User       struct {
		Username string `json:"username"`
	} `json:"user"`
	ObjectRef struct {
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
	} `json:"objectRef"`
	ResponseStatus struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
	Timestamp time.Time `json:"stageTimestamp"`
}

// AuditWrites returns every write of the user so far, oldest first; of everybody when user is empty. The log is written
// before the response is, so a write that a client has seen succeed is in it.
func (s *Sandbox) AuditWrites(user string) ([]AuditWrite, error) {
	f, err := os.Open(s.control.auditLog())
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var writes []AuditWrite
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 4<<20)
	for lines.Scan() {
		var event auditEvent
		if err := json.Unmarshal(lines.Bytes(), &event); err != nil {
			break // the last line, still being written
		}
		if event.Stage != "ResponseComplete" || user != "" && event.User.Username != user {
			continue
		}
		writes = append(writes, event.write())
	}
	return writes, lines.Err()
}

func (e *auditEvent) write() AuditWrite {
	resource := e.ObjectRef.Resource
	if e.ObjectRef.Subresource != "" {
		resource += "/" + e.ObjectRef.Subresource
	}
	return AuditWrite{
		Time:        e.Timestamp,
		User:        e.User.Username,
		Verb:        e.Verb,
		Resource:    resource,
		Namespace:   e.ObjectRef.Namespace,
		Name:        e.ObjectRef.Name,
		Code:        e.ResponseStatus.Code,
		RequestPath: e.RequestURI,
	}
}
