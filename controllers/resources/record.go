// SPDX-License-Identifier: Apache-2.0

package resources

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	"github.com/redisha/redisha/api/v1alpha1"
)

// Record says which settings of spec.config a pod was made with, or was told, by name. It is the value of the
// annotation redisha.io/settings.
type Record map[string]Recorded

// Recorded is one setting of a Record.
type Recorded struct {
	// Hash is of the value; empty when it is another than spec.config has ever said.
	Hash string
	// Fixed: only a start can change it. Redis says so of what it runs; of some names the builder knows.
	Fixed bool
}

// RecordOf is what a pod has that is made now.
func RecordOf(rha *v1alpha1.RedisHA) Record {
	record := Record{}
	for name, value := range rha.Spec.Config {
		plain, ok := plainValue(string(value))
		sum := sha256.Sum256([]byte(plain))
		record[recordedName(name)] = Recorded{
			Hash: hex.EncodeToString(sum[:4]), Fixed: !ok || slices.Contains(atStart, name),
		}
	}
	return record
}

// recordedName is the name that the operator's default has, where a setting has two.
func recordedName(name string) string {
	if name == "busy-reply-threshold" {
		return "lua-time-limit"
	}
	return name
}

// String is the text of the annotation.
func (r Record) String() string {
	parts := make([]string, 0, len(r))
	for _, name := range slices.Sorted(maps.Keys(r)) {
		mark := ":"
		if r[name].Fixed {
			mark = ":!"
		}
		parts = append(parts, name+mark+r[name].Hash)
	}
	return strings.Join(parts, " ")
}

// ParseRecord reads what [Record.String] has written.
func ParseRecord(text string) Record {
	record := Record{}
	for part := range strings.FieldsSeq(text) {
		name, hash, _ := strings.Cut(part, ":")
		hash, fixed := strings.CutPrefix(hash, "!")
		record[name] = Recorded{Hash: hash, Fixed: fixed}
	}
	return record
}

// Unlike are the names, in order, whose values in wanted r does not have.
func (r Record) Unlike(wanted Record) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		if has, is := r[name]; !is || has.Hash != wanted[name].Hash {
			names = append(names, name)
		}
	}
	return names
}

// Names reports that r names a setting.
func (r Record) Names(name string) bool {
	_, is := r[name]
	return is
}

// Told is r after its Redis was told the settings of wanted, where live are those that can be told. Fixed are those
// that Redis does not have and does not change while it runs; reported are the values that it has, by its own word.
func (r Record) Told(wanted Record, live map[string]string, fixed []string, reported map[string]string) Record {
	next := r.lasting(live)
	for name, setting := range wanted {
		before := r[name]
		switch {
		case before.Hash == setting.Hash:
			next[name] = Recorded{Hash: before.Hash, Fixed: before.Fixed || setting.Fixed}
		case setting.Fixed && before.Hash != "":
			next[name] = Recorded{Hash: before.Hash, Fixed: true}
		case setting.Fixed: // the pod is without it
		case slices.Contains(fixed, name) && reported[name] != live[name]:
			next[name] = Recorded{Hash: before.Hash, Fixed: true}
		default:
			next[name] = setting
		}
	}
	return next
}

// lasting are those that a start is needed for to be rid of them, or to change them.
func (r Record) lasting(live map[string]string) Record {
	lasting := Record{}
	for name, setting := range r {
		if _, is := live[name]; !is || setting.Fixed {
			lasting[name] = setting
		}
	}
	return lasting
}
