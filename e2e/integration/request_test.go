// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/e2e/sandbox"
)

// A request is the value of an annotation. Another ID behind it makes it another one; without, it was carried out
// before, and was put back by a tool that applies what is kept in Git.
func TestARequestRunsOnceThoughGitPutsItBack(t *testing.T) {
	t.Parallel()
	const rounds = 4
	key := create(t, namespace(t), v1alpha1.RedisHASpec{})
	first := settled(t, key)
	for i := range int64(rounds) {
		change(t, key, func(rha *v1alpha1.RedisHA) {
			rha.Annotations = map[string]string{v1alpha1.AnnotationRequest: fmt.Sprintf("switchover#%d", i)}
		})
		eventually(t, "the request is carried out and acknowledged", time.Minute, func(ctx context.Context) (bool, error) {
			rha, err := bed.Get(ctx, key)
			return err == nil && rha.Annotations[v1alpha1.AnnotationRequest] == "" &&
				rha.Status.Master.Epoch == first.Status.Master.Epoch+i+1, err
		})
	}
	for i := range 6 { // applied again and again, also one that is not the last
		change(t, key, func(rha *v1alpha1.RedisHA) {
			rha.Annotations = map[string]string{v1alpha1.AnnotationRequest: fmt.Sprintf("switchover#%d", rounds-1-i%2)}
		})
		time.Sleep(500 * time.Millisecond)
	}
	rha, err := bed.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := rha.Status.Master.Epoch, first.Status.Master.Epoch+rounds; got != want {
		t.Errorf("epoch %d, want %d: a request that was put back ran again", got, want)
	}
	if rha.Annotations[v1alpha1.AnnotationRequest] == "" {
		t.Error("what Git puts back was removed: it would be put back and removed for ever")
	}
	writes, err := bed.Sandbox.AuditWrites(sandbox.OperatorUser)
	if err != nil {
		t.Fatal(err)
	}
	acknowledged := 0
	for _, w := range writes {
		if w.Resource == "redishas" && w.Namespace == key.Namespace && w.Verb == "patch" {
			acknowledged++
		}
	}
	if acknowledged != rounds {
		t.Errorf("%d requests took %d writes to be acknowledged", rounds, acknowledged)
	}
}
