// SPDX-License-Identifier: Apache-2.0

package scenarios

import (
	"syscall"
	"testing"
	"time"

	"github.com/redisha/redisha/api/v1alpha1"
)

// killed is what has to come of a master's process that is killed.
func killed(t *testing.T, title string, spec v1alpha1.RedisHASpec) {
	t.Helper()
	s := begin(t, title, spec)
	s.quick(s.MasterIsKilled())
}

func TestAKilledMasterThatIsBackEmptyAtOnceWipesNoReplica(t *testing.T) {
	killed(t, "master killed, back empty at once", v1alpha1.RedisHASpec{})
}

func TestAKilledMasterThatIsBackWithItsSnapshotIsReplaced(t *testing.T) {
	killed(t, "master killed, back with an old snapshot", v1alpha1.RedisHASpec{
		Storage: &v1alpha1.StorageSpec{}, Config: map[string]v1alpha1.ConfigValue{"appendonly": "no", "save": "1 1"},
	})
}

func TestAKilledMasterThatIsBackWithItsAppendOnlyFileIsReplaced(t *testing.T) {
	killed(t, "master killed, back with its append-only file", v1alpha1.RedisHASpec{Storage: &v1alpha1.StorageSpec{}})
}

func TestAMasterThatHangsForLongIsReplacedAndItsPodDeleted(t *testing.T) {
	begin(t, "master hangs for longer than down-after", v1alpha1.RedisHASpec{}).MasterHangs()
}

func TestAMasterThatHangsForAMomentStaysMaster(t *testing.T) {
	s := begin(t, "master hangs for less than down-after", v1alpha1.RedisHASpec{})
	s.Signal(s.Master(), syscall.SIGSTOP)
	time.Sleep(1500 * time.Millisecond) // half of the default
	s.Signal(s.Master(), syscall.SIGCONT)
	s.acknowledged(time.Now())
	s.Reason = "none"
	s.end(0)
	s.Unmoved()
}
