// SPDX-License-Identifier: Apache-2.0

package journey

import (
	"os"
	"testing"
	"time"

	"github.com/redisha/redisha/e2e/sandbox"
	"github.com/redisha/redisha/e2e/testbed"
)

// quietFor is how long nothing may happen.
const quietFor = time.Minute

func TestASettledRedisHACostsTheAPIServerNoWriteAndTheLogNoLine(t *testing.T) {
	ctx := bounded(t, 3*time.Minute)
	r := apply(ctx, t, "settled")
	// Well is not yet at rest: the workload controller may have to see the last pod's readiness.
	time.Sleep(3 * time.Second)
	writes, logs := operatorWrites(t), logSizes(t)
	select {
	case <-time.After(quietFor):
	case <-ctx.Done():
		t.Fatal(ctx.Err())
	}
	for _, w := range operatorWrites(t)[len(writes):] {
		t.Errorf("a write while nothing happened: %s", w)
	}
	for name, size := range logSizes(t) {
		if text := logSince(t, name, logs[name]); size != logs[name] {
			t.Errorf("the log says while nothing happened:\n%s", text)
		}
	}
	r.settle(ctx) // and it was well all the time
}

// operatorWrites returns every write of the operator so far but those of its leader election, which is not about a
// RedisHA.
func operatorWrites(t *testing.T) []sandbox.AuditWrite {
	t.Helper()
	all, err := bed.Sandbox.AuditWrites(sandbox.OperatorUser)
	if err != nil {
		t.Fatal(err)
	}
	var writes []sandbox.AuditWrite
	for _, w := range all {
		if w.Resource != "leases" || w.Namespace != testbed.Namespace {
			writes = append(writes, w)
		}
	}
	if len(writes) == 0 {
		t.Fatal("the audit log has no write of the operator, which has created a RedisHA's objects: it proves nothing")
	}
	return writes
}

func logSizes(t *testing.T) map[string]int64 {
	t.Helper()
	sizes := map[string]int64{}
	for _, o := range bed.Operators() {
		info, err := os.Stat(o.LogPath)
		if err != nil {
			t.Fatal(err)
		}
		sizes[o.LogPath] = info.Size()
	}
	return sizes
}

func logSince(t *testing.T, path string, offset int64) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data[min(offset, int64(len(data))):])
}
