// SPDX-License-Identifier: Apache-2.0

package encryption

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/redisclient"
)

// The ports of a Redis process. Each means the same all the time, so that no connection is ever made in the wrong way.
const (
	PlainPort int32 = 6379
	TLSPort   int32 = 6380
)

// Material is what processes encrypt with.
type Material struct {
	Certificate []byte `json:"-"` // PEM, with what is between it and its authority
	Key         []byte `json:"-"` // PEM
	// Trusted are the authorities, in PEM: that of the certificate first, then those whose certificates are still taken.
	Trusted [][]byte `json:"-"`
	// Clients is what is asked of clients.
	Clients v1alpha1.ClientCertificates `json:"clients"`
}

// State is what the processes of a RedisHA are to be like. The zero value is clear.
type State struct {
	// Stage is how far it is.
	Stage v1alpha1.TLSStage `json:"stage"`
	// Trial: Live was given to the processes that run, and no process starts with it before all have taken it. What Redis
	// refuses can so be put right at any time.
	Trial bool `json:"trial,omitempty"`
	// Live is what the processes that run encrypt with; nil in clear, once every process has closed the port.
	Live *Material `json:"live,omitempty"`
	// Boot is what processes start with while Live is on trial, nil when they start in clear; otherwise they start with
	// Live.
	Boot *Material `json:"boot,omitempty"`
	// FormerUntil is until when authorities are trusted that the user's Secret does not name any more.
	FormerUntil time.Time `json:"formerUntil,omitzero"`
}

// stages in the order in which they are passed.
var stages = []v1alpha1.TLSStage{
	v1alpha1.TLSStageClear, v1alpha1.TLSStageOffered, v1alpha1.TLSStageUsed, v1alpha1.TLSStageRequired,
}

// at is a stage's place among them. What is not known counts as clear.
func at(stage v1alpha1.TLSStage) int {
	for i, s := range stages {
		if s == stage {
			return i
		}
	}
	return 0
}

// reached reports that s has come as far as a stage, or further.
func (s State) reached(stage v1alpha1.TLSStage) bool { return at(s.Stage) >= at(stage) }

// Used reports that operator, replicas and Services use encrypted connections.
func (s State) Used() bool { return s.reached(v1alpha1.TLSStageUsed) && s.Live != nil }

// Required reports that there are no others.
func (s State) Required() bool { return s.reached(v1alpha1.TLSStageRequired) && s.Live != nil }

// generation names the files of a material in this state. It is another one in every state: a process that was given a
// file by its name proves that its pod has mounted the Secret as it is in this state, auth.conf included.
func (s State) generation(m *Material) string {
	if m == nil {
		return ""
	}
	h := sha256.New()
	parts := [][]byte{m.Certificate, m.Key, []byte(m.Clients), fmt.Appendf(nil, "%s %t", s.Stage, s.Trial && m == s.Live)}
	for _, part := range append(parts, m.Trusted...) {
		fmt.Fprintf(h, "%d ", len(part))
		h.Write(part)
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
}

// Generation names the state; empty in clear.
func (s State) Generation() string { return s.generation(s.Live) }

// boot is what processes start with; nil in clear.
func (s State) boot() *Material {
	switch {
	case s.Trial:
		return s.Boot
	case s.clear():
		return nil
	}
	return s.Live
}

// CanEncrypt reports that every process can encrypt its connection to a master. One that runs a Redis without TLS never
// comes as far.
func (s State) CanEncrypt() bool { return s.boot() != nil }

// record is the key under which a state is kept, beside the files.
const record = "tls.json"

func certificateFile(generation string) string { return "tls-" + generation + ".crt" }
func keyFile(generation string) string         { return "tls-" + generation + ".key" }
func caFile(generation string) string          { return "tls-" + generation + ".ca" }

// Files are what the Secret holds of s besides settings; of the state before it as well, which processes may be about
// to read.
func (s State) Files(before State) map[string][]byte {
	files := map[string][]byte{}
	for _, state := range []State{before, s} {
		for _, m := range []*Material{state.Live, state.boot()} {
			if m == nil {
				continue
			}
			g := state.generation(m)
			files[certificateFile(g)], files[keyFile(g)], files[caFile(g)] = m.Certificate, m.Key, m.bundle()
		}
	}
	if s.Live == nil {
		return files
	}
	text, err := json.Marshal(recorded{State: s, Files: s.Generation(), BootFiles: s.generation(s.Boot)})
	if err != nil {
		return files // names, a time and what is false or true can be marshalled
	}
	files[record] = text
	return files
}

// recorded is a state without its files.
type recorded struct {
	State

	Files     string `json:"files"`
	BootFiles string `json:"bootFiles,omitempty"`
}

// In is the state that a Secret holds; the zero value when it holds none, or one that is incomplete.
func In(data map[string][]byte) State {
	var r recorded
	if json.Unmarshal(data[record], &r) != nil || r.Live == nil || !r.Live.load(data, r.Files) {
		return State{}
	}
	if r.Boot != nil && !r.Boot.load(data, r.BootFiles) {
		return State{}
	}
	return r.State
}

func (m *Material) load(data map[string][]byte, generation string) bool {
	m.Certificate, m.Key = data[certificateFile(generation)], data[keyFile(generation)]
	m.Trusted = certificates(data[caFile(generation)])
	return len(m.Certificate) > 0 && len(m.Key) > 0 && len(m.Trusted) > 0
}

func (m *Material) bundle() []byte {
	var all []byte
	for _, ca := range m.Trusted {
		all = append(all, ca...)
	}
	return all
}

// Conf are the settings of redis.conf that a process starts with, whose files are in dir; empty in clear. They come
// after the port.
func (s State) Conf(dir string) string {
	if s.boot() == nil {
		return ""
	}
	var b strings.Builder
	for _, line := range s.settings(s.boot(), dir) {
		b.WriteString(line + "\n")
	}
	return b.String()
}

func (s State) settings(m *Material, dir string) []string {
	e := s.encryption(m, dir)
	lines := []string{
		fmt.Sprintf("tls-port %d", e.TLSPort), "tls-cert-file " + e.Certificate, "tls-key-file " + e.Key,
		"tls-ca-cert-file " + e.CA, "tls-auth-clients " + e.Clients,
	}
	if e.Replication {
		lines = append(lines, "tls-replication yes")
	}
	if e.PlainPort == 0 {
		lines = append(lines, "port 0")
	}
	return lines
}

// Encryption is what a process that runs is to be like, whose files are in dir.
func (s State) Encryption(dir string) redisclient.Encryption {
	if s.Live == nil {
		return redisclient.Encryption{PlainPort: int(PlainPort)}
	}
	return s.encryption(s.Live, dir)
}

func (s State) encryption(m *Material, dir string) redisclient.Encryption {
	g := s.generation(m)
	e := redisclient.Encryption{
		PlainPort: int(PlainPort), TLSPort: int(TLSPort), Replication: s.Used(), Clients: authClients[m.Clients],
		Certificate: dir + "/" + certificateFile(g), Key: dir + "/" + keyFile(g), CA: dir + "/" + caFile(g),
	}
	if e.Clients == "" {
		e.Clients = authClients[v1alpha1.ClientCertificatesNone]
	}
	if s.Required() {
		e.PlainPort = 0
	}
	if s.clear() {
		e.TLSPort = 0
	}
	return e
}

// authClients are the values of tls-auth-clients.
var authClients = map[v1alpha1.ClientCertificates]string{
	v1alpha1.ClientCertificatesNone: "no", v1alpha1.ClientCertificatesOptional: "optional",
	v1alpha1.ClientCertificatesRequired: "yes",
}
