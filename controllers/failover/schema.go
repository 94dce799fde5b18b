// SPDX-License-Identifier: Apache-2.0

package failover

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/controllers/conditions"
	"github.com/redisha/redisha/failover"
	"github.com/redisha/redisha/failover/decide"
)

// storedFields remembers which fields of the progress the cluster's CRD does not know: it is older than this operator,
// and the API server drops them. What is dropped is no difference, or it would be written for ever.
type storedFields struct {
	mu    sync.Mutex
	lacks map[string]bool // by path without indices, as failover.internal.revision
}

// compare learns from what was stored of what was to be written.
func (s *storedFields) compare(wanted, stored *v1alpha1.RedisHAStatus) {
	if equality.Semantic.DeepEqual(wanted.Failover, stored.Failover) &&
		equality.Semantic.DeepEqual(wanted.Master, stored.Master) &&
		equality.Semantic.DeepEqual(wanted.Nodes, stored.Nodes) &&
		equality.Semantic.DeepEqual(wanted.History, stored.History) &&
		equality.Semantic.DeepEqual(wanted.Requests, stored.Requests) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.lacks = nil // a newer CRD has come
		return
	}
	w, errW := progressFields(wanted)
	st, errS := progressFields(stored)
	if errW != nil || errS != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lacks == nil {
		s.lacks = map[string]bool{}
	}
	eachMissing("", w, st, func(path string) { s.lacks[path] = true })
}

// eachMissing calls missing for each field of wanted that stored does not have.
func eachMissing(path string, wanted, stored any, missing func(path string)) {
	switch w := wanted.(type) {
	case map[string]any:
		st, ok := stored.(map[string]any)
		if !ok {
			return
		}
		for name, value := range w {
			at := strings.TrimPrefix(path+"."+name, ".")
			if other, has := st[name]; has {
				eachMissing(at, value, other, missing)
			} else {
				missing(at)
			}
		}
	case []any:
		st, ok := stored.([]any)
		for i := 0; ok && i < min(len(w), len(st)); i++ {
			eachMissing(path, w[i], st[i], missing)
		}
	}
}

// missing names the fields that the CRD does not know, in order.
func (s *storedFields) missing() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Sorted(maps.Keys(s.lacks))
}

// differ says whether there is anything to write that can be stored.
func (s *storedFields) differ(was, is *v1alpha1.RedisHAStatus) bool {
	if equality.Semantic.DeepEqual(*was, *is) {
		return false
	}
	missing := s.missing()
	if len(missing) == 0 {
		return true
	}
	a, errA := progressFields(was)
	b, errB := progressFields(is)
	if errA != nil || errB != nil {
		return true
	}
	for _, path := range missing {
		drop(a, strings.Split(path, "."))
		drop(b, strings.Split(path, "."))
	}
	return !reflect.DeepEqual(a, b)
}

// drop removes the field at a path, from each element of a list on the way.
func drop(v any, path []string) {
	switch v := v.(type) {
	case map[string]any:
		if len(path) == 1 {
			delete(v, path[0])
			return
		}
		drop(v[path[0]], path[1:])
	case []any:
		for _, element := range v {
			drop(element, path)
		}
	}
}

// compatibleCondition tells whether this operator, the CRD and whoever wrote the status before are of versions that go
// together.
func (r *Reconciler) compatibleCondition(rha *v1alpha1.RedisHA, d failover.Decision) metav1.Condition {
	const kind = v1alpha1.ConditionCompatible
	if f := &r.memory.Of(client.ObjectKeyFromObject(rha)).refusals; !f.ordinary() {
		return conditions.New(
			kind, false, v1alpha1.ReasonProgressRefused,
			"no failover can be carried out, as its progress cannot be written: "+f.why,
		)
	}
	if d.Reason == failover.ReasonUnknownState && !slices.Contains(decide.States(), d.Next.State) {
		writer := "a newer version"
		if f := rha.Status.Failover; f != nil && f.Internal.WrittenBy != "" {
			writer = "version " + f.Internal.WrittenBy
		}
		return conditions.New(kind, false, string(failover.ReasonUnknownState), fmt.Sprintf(
			"status.failover.state is %q, written by %s of the operator, and version %s does not know it; nothing is done "+
				"until that version runs again",
			d.Next.State,
			writer,
			r.Version,
		))
	}
	if missing := r.schema.missing(); len(missing) > 0 {
		return conditions.New(kind, false, v1alpha1.ReasonDefinitionOutdated, fmt.Sprintf(
			"the CustomResourceDefinition is older than the operator and does not know status.%s; failovers go on; apply the "+
				"definition of version %s",
			strings.Join(missing, ", status."),
			r.Version,
		))
	}
	return conditions.New(
		kind, true, v1alpha1.ReasonVersionsMatch,
		"operator, CustomResourceDefinition and status are of versions that go together",
	)
}
