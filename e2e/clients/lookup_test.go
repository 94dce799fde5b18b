// SPDX-License-Identifier: Apache-2.0

package clients

import (
	"context"
	"errors"
	"testing"
)

// values is a Redis of which nothing but keys and values is known.
type values map[string]string

func (v values) Get(_ context.Context, keys []string) ([]string, error) {
	if v == nil {
		return nil, errors.New("no answer")
	}
	var found []string
	for _, key := range keys {
		found = append(found, v[key])
	}
	return found, nil
}

func (v values) Delete(_ context.Context, keys []string) error {
	for _, key := range keys {
		delete(v, key)
	}
	return nil
}

func TestAWriteThatIsAbsentOrOfAnotherValueIsLostOnce(t *testing.T) {
	a := NewApplication(Library{Name: "redigo", Role: Writer, Lanes: 1}, "redigo")
	note(a.Record, "A 1000 0", "A 1010 1", "A 1020 2", "E 1030 3 EOF")
	if _, err := a.LookUp(t.Context(), values(nil)); err == nil {
		t.Error("no answer is an answer")
	}
	master := values{"redigo:0": "0", "redigo:1": "old", "redigo:3": "3", "other:2": "2"}
	if lost, err := a.LookUp(t.Context(), master); lost != 2 || err != nil {
		t.Errorf("%d lost, %v; want 2", lost, err)
	}
	if len(master) != 2 {
		t.Errorf("left in Redis: %v", master)
	}
	if lost, err := a.LookUp(t.Context(), master); lost != 0 || err != nil {
		t.Errorf("%d lost when looked up again, %v", lost, err)
	}
}

func TestWhatIsOnlyReadIsNotLookedUp(t *testing.T) {
	a := NewApplication(Library{Role: Reader, Lanes: 1}, "reader")
	note(a.Record, "A 1000 0")
	if lost, err := a.LookUp(t.Context(), values(nil)); lost != 0 || err != nil {
		t.Errorf("%d lost, %v", lost, err)
	}
}
