package integration

import (
	"context"
	"testing"
	"time"

	"github.com/redisha/redisha/api/v1alpha1"
	"github.com/redisha/redisha/e2e/sandbox"
)

// A request is the value of an annotation, so the same one again differs by nothing but that it was away in between.
func TestTheSameRequestIsCarriedOutEachTimeAndAcknowledgedByOneWrite(t *testing.T) {
	const rounds = 4
	key := create(t, namespace(t), v1alpha1.RedisHASpec{})
	first := settled(t, key)
	for i := range int64(rounds) {
		change(t, key, func(rha *v1alpha1.RedisHA) {
			rha.Annotations = map[string]string{v1alpha1.AnnotationRequest: "handover"}
		})
		eventually(t, "the request is carried out and acknowledged", time.Minute, func(ctx context.Context) (bool, error) {
			rha, err := play.Get(ctx, key)
			return err == nil && rha.Annotations[v1alpha1.AnnotationRequest] == "" && rha.Status.Master.Epoch == first.Status.Master.Epoch+i+1, err
		})
	}
	writes, err := play.Sandbox.AuditWrites(sandbox.OperatorUser)
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
