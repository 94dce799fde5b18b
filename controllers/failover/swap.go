// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
)

// This file writes the progress by compare-and-swap. Another version of the operator may have written the status
// before, during a rollout or a rollback, and may know fields that this one does not. So the swap tests what identifies
// the progress, and of the status it writes the fields that differ: what this version does not know survives its
// writes.

// errOvertaken means that the progress is not what it was when the decision was made: another operator
// decides, or we decided on an old copy. Nothing was written.
var errOvertaken = errors.New("the progress was changed by another operator, or the API server refuses it")

// swap replaces the progress that before holds with that of next; next becomes the object as
// stored. The comparison is on the progress itself, not on the object's version: the workload
// controller, or a person, who writes something else at the same moment does not hold a failover up.
func (r *Reconciler) swap(ctx context.Context, before, next *v1alpha1.RedisHA) error {
	next.Status.Failover.Internal.Revision = revisionOf(before) + 1
	next.Status.Failover.Internal.WrittenBy = r.Version
	wanted := next.Status.DeepCopy()
	patch, err := swapPatch(before, next)
	if err != nil {
		return err
	}
	err = r.Client.Status().Patch(ctx, next, patch, client.FieldOwner(fieldOwner))
	if apierrors.IsInvalid(err) {
		return errors.Join(errOvertaken, err)
	}
	if err == nil {
		r.schema.compare(wanted, &next.Status)
	}
	return err
}

// revisionOf counts the writes of the progress; 0 before the first, and where the CRD or another version does not know
// the count.
func revisionOf(rha *v1alpha1.RedisHA) int64 {
	if rha.Status.Failover == nil {
		return 0
	}
	return rha.Status.Failover.Internal.Revision
}

// swapPatch changes what differs from before to next, if the progress is still that of before. Where there is none yet,
// the object's version is compared.
func swapPatch(before, next *v1alpha1.RedisHA) (client.Patch, error) {
	was, err := progressFields(&before.Status)
	if err != nil {
		return nil, err
	}
	is, err := progressFields(&next.Status)
	if err != nil {
		return nil, err
	}
	if before.Status.Failover == nil {
		body, err := json.Marshal(map[string]any{
			"metadata": map[string]any{"uid": before.UID, "resourceVersion": before.ResourceVersion},
			"status":   is,
		})
		if err != nil {
			return nil, fmt.Errorf("building the first status: %w", err)
		}
		return client.RawPatch(types.MergePatchType, body), nil
	}
	p := &statusPatch{}
	p.test("/metadata/uid", before.UID)
	p.identify(object(was["failover"]))
	p.status(was, is)
	body, err := json.Marshal(p.operations)
	if err != nil {
		return nil, fmt.Errorf("building the swap: %w", err)
	}
	return client.RawPatch(types.JSONPatchType, body), nil
}

// progressFields is the failover controller's part of the status as JSON values, without the conditions.
func progressFields(s *v1alpha1.RedisHAStatus) (map[string]any, error) {
	raw, err := json.Marshal(v1alpha1.RedisHAStatus{
		Failover: s.Failover, Master: s.Master, Nodes: s.Nodes, History: s.History,
		LastFailover: s.LastFailover, Requests: s.Requests,
	})
	if err != nil {
		return nil, fmt.Errorf("encoding the progress: %w", err)
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber() // offsets are larger than a float64 is exact
	fields := map[string]any{}
	if err := decoder.Decode(&fields); err != nil {
		return nil, fmt.Errorf("reading the progress: %w", err)
	}
	return fields, nil
}

type patchOperation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// statusPatch collects the operations of a JSON patch to the status.
type statusPatch struct{ operations []patchOperation }

func (p *statusPatch) test(path string, value any) {
	p.operations = append(p.operations, patchOperation{Op: "test", Path: path, Value: value})
}

// add sets a field, or inserts an element of a list.
func (p *statusPatch) add(path string, value any) {
	p.operations = append(p.operations, patchOperation{Op: "add", Path: path, Value: value})
}

func (p *statusPatch) remove(path string) {
	p.operations = append(p.operations, patchOperation{Op: "remove", Path: path})
}

// identify tests what tells one progress from every other: its revision, which each write counts up, and its epoch and
// time, as a status that was restored may repeat a revision. One without a revision was written where the count is not
// known: then every field that is known is tested.
func (p *statusPatch) identify(was map[string]any) {
	const path = "/status/failover"
	inner := object(was[internalField])
	if revision := inner["revision"]; revision != nil {
		p.testAll(path+"/"+internalField, inner, "revision")
		p.testAll(path, was, "epoch", "since")
		return
	}
	p.testAll(
		path,
		was,
		slices.DeleteFunc(slices.Sorted(maps.Keys(was)), func(name string) bool { return name == internalField })...)
	p.testAll(path+"/"+internalField, inner, slices.Sorted(maps.Keys(inner))...)
}

// internalField holds what is the state machine's own, of the failover and of each node.
const internalField = "internal"

func (p *statusPatch) testAll(path string, was map[string]any, names ...string) {
	for _, name := range names {
		if value := was[name]; value != nil {
			p.test(path+"/"+name, value)
		}
	}
}

// status changes what differs between two progresses.
func (p *statusPatch) status(was, is map[string]any) {
	p.fields("/status/failover", object(was["failover"]), object(is["failover"]))
	if master := object(is["master"]); master != nil && sameNode(object(was["master"]), master) {
		p.fields("/status/master", object(was["master"]), master)
	} else {
		p.field("/status", "master", was, is)
	}
	p.nodes(list(was["nodes"]), list(is["nodes"]))
	p.history(list(was["history"]), list(is["history"]))
	p.field("/status", "lastFailover", was, is)
	p.field("/status", "requests", was, is)
}

// fields changes the fields of an object that differ, each as a whole, but for those that are internal.
func (p *statusPatch) fields(path string, was, is map[string]any) {
	names := maps.Clone(was)
	if names == nil {
		names = map[string]any{}
	}
	maps.Copy(names, is)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		before, after := object(was[name]), object(is[name])
		if name == internalField && before != nil && after != nil {
			p.fields(path+"/"+name, before, after)
			continue
		}
		p.field(path, name, was, is)
	}
}

func (p *statusPatch) field(path, name string, was, is map[string]any) {
	value, remains := is[name]
	_, had := was[name]
	switch {
	case remains && !reflect.DeepEqual(was[name], value):
		p.add(path+"/"+name, value)
	case had && !remains:
		p.remove(path + "/" + name)
	}
}

const nodesPath = "/status/nodes"

// nodes changes a list of nodes element by element. What another version says of a node stays with it, and goes with
// its process.
func (p *statusPatch) nodes(was, is []any) {
	if len(was) == 0 || len(is) == 0 || !slices.IsSortedFunc(positions(was, is), func(a, b int) int { return a - b }) {
		p.field("/status", "nodes", given("nodes", was), given("nodes", is))
		return
	}
	kept := slices.Clone(was)
	for i := len(kept) - 1; i >= 0; i-- {
		if !slices.ContainsFunc(is, samePod(kept[i])) {
			p.remove(nodesPath + "/" + strconv.Itoa(i))
			kept = slices.Delete(kept, i, i+1)
		}
	}
	for i, node := range is {
		path := nodesPath + "/" + strconv.Itoa(i)
		switch {
		case i >= len(kept) || !samePod(node)(kept[i]):
			p.add(path, node)
			kept = slices.Insert(kept, i, node)
		case sameNode(object(kept[i]), object(node)):
			p.fields(path, object(kept[i]), object(node))
		case !reflect.DeepEqual(kept[i], node):
			p.operations = append(p.operations, patchOperation{Op: "replace", Path: path, Value: node})
		}
	}
}

// positions is where the nodes that remain stand in the new list, in the order of the old one.
func positions(was, is []any) []int {
	var at []int
	for _, node := range was {
		if i := slices.IndexFunc(is, samePod(node)); i >= 0 {
			at = append(at, i)
		}
	}
	return at
}

// history puts the new entry before the old ones and lets the oldest go. Entries are never changed.
func (p *statusPatch) history(was, is []any) {
	const path = "/status/history"
	if len(was) == 0 || len(is) == 0 || len(is) > len(was)+1 || !reflect.DeepEqual(is[1:], was[:len(is)-1]) {
		p.field("/status", "history", given("history", was), given("history", is))
		return
	}
	if reflect.DeepEqual(was, is) {
		return
	}
	p.add(path+"/0", is[0])
	for i := len(was); i >= len(is); i-- {
		p.remove(path + "/" + strconv.Itoa(i))
	}
}

// given is an object with one field, if the list has elements.
func given(name string, values []any) map[string]any {
	if len(values) == 0 {
		return nil
	}
	return map[string]any{name: values}
}

func object(v any) map[string]any {
	o, _ := v.(map[string]any)
	return o
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

// sameNode says whether two objects tell of the same process in the same pod.
func sameNode(a, b map[string]any) bool {
	return a["pod"] == b["pod"] && a["podUID"] == b["podUID"] && a["runID"] == b["runID"]
}

func samePod(a any) func(any) bool {
	return func(b any) bool { return object(a)["pod"] == object(b)["pod"] }
}
