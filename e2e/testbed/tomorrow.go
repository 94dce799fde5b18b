// SPDX-License-Identifier: Apache-2.0

package testbed

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/redisha/redisha/e2e/gobuild"
)

// envTomorrow hands the path of tomorrow's operator from outside the sandbox to the inside.
const envTomorrow = "REDISHA_MANAGER_TOMORROW"

// What tomorrow's operator has and this one does not know.
const (
	// TomorrowsVersion is what it calls itself.
	TomorrowsVersion = "v-tomorrow"
	// TomorrowsState comes between Reattaching and Stable, and lasts 300 ms.
	TomorrowsState = "Auditing"
	// TomorrowsField is a string of the failover and of each node in the status.
	TomorrowsField = "audited"
	// TomorrowsValue is what it writes there.
	TomorrowsValue = "by tomorrow's operator"
)

// edit replaces text that a file holds once.
type edit struct{ file, old, new string }

// tomorrow is what is changed in the sources of today.
var tomorrow = []edit{
	{
		"failover/decide/states.go",
		`{Name: string(EventSettle), Src: []string{string(failover.StateReattaching)}, Dst: string(failover.StateStable)},`,
		`{Name: string(EventSettle), Src: []string{string(failover.StateReattaching)}, Dst: "` + TomorrowsState + `"},
		{Name: "audited", Src: []string{"` + TomorrowsState + `"}, Dst: string(failover.StateStable)},`,
	},
	{
		"failover/decide/states.go",
		"\t\tfailover.StateBlocked,\n",
		"\t\tfailover.StateBlocked, \"" + TomorrowsState + "\",\n",
	},
	{
		"failover/decide/decide.go",
		`case failover.StateBlocked:
		return d.blocked()`,
		`case failover.StateBlocked:
		return d.blocked()
	case "` + TomorrowsState + `":
		if rest := 300*time.Millisecond - d.now.Sub(d.next.Since); rest > 0 {
			return d.hold(failover.ReasonNone, "auditing", failover.After(rest))
		}
		d.move("audited", d.next.Message)
		return failover.Decision{Next: d.next, Message: d.next.Message, Again: failover.Now()}`,
	},
	{
		"api/v1alpha1/failover_types.go",
		"// FailoverStatus is the persisted progress of the failover controller.\ntype FailoverStatus struct {",
		"type FailoverStatus struct {\n\tAudited string `json:\"" + TomorrowsField + ",omitempty\"`",
	},
	{
		"api/v1alpha1/failover_types.go",
		"\t// role is master, replica or unknown.",
		"\tAudited string `json:\"" + TomorrowsField + ",omitempty\"`\n\t// role is master, replica or unknown.",
	},
	{
		"controllers/failover/convert.go",
		"\tstatus.Failover = f\n",
		"\tf.Audited = \"" + TomorrowsValue + "\"\n\tstatus.Failover = f\n",
	},
	{
		"controllers/failover/convert.go",
		"\tn := v1alpha1.NodeStatus{\n",
		"\tn := v1alpha1.NodeStatus{\n\t\tAudited: \"" + TomorrowsValue + "\",\n",
	},
}

// PrepareTomorrow is for sandbox.Enter: it builds an operator of another version, with a state and fields that this one
// does not know, from the sources of this one.
func PrepareTomorrow(ctx context.Context) error {
	if os.Getenv(envTomorrow) != "" {
		return nil
	}
	root, err := Root()
	if err != nil {
		return err
	}
	dir, err := gobuild.CacheDir("tomorrow")
	if err != nil {
		return err
	}
	overlay, err := layOver(root, dir, tomorrow)
	if err != nil {
		return fmt.Errorf("write the operator of tomorrow: %w", err)
	}
	binary := filepath.Join(dir, "manager")
	if err := build(
		ctx, os.Stderr, root, binary, "-overlay", overlay, "-ldflags", "-X main.version="+TomorrowsVersion,
	); err != nil {
		return err
	}
	return os.Setenv(envTomorrow, binary)
}

// layOver writes the edited files into dir, and the list of them that go build is given.
func layOver(root, dir string, edits []edit) (list string, err error) {
	texts := map[string]string{}
	for _, e := range edits {
		text, read := texts[e.file]
		if !read {
			raw, err := os.ReadFile(filepath.Join(root, e.file))
			if err != nil {
				return "", err
			}
			text = string(raw)
		}
		if n := strings.Count(text, e.old); n != 1 {
			return "", fmt.Errorf("%s holds %d times, want once:\n%s", e.file, n, e.old)
		}
		texts[e.file] = strings.Replace(text, e.old, e.new, 1)
	}
	replaced := map[string]string{}
	for file, text := range texts {
		path := filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return "", err
		}
		replaced[filepath.Join(root, file)] = path
	}
	raw, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		return "", err
	}
	list = filepath.Join(dir, "overlay.json")
	return list, os.WriteFile(list, raw, 0o600)
}

func tomorrowsBinary() (string, error) {
	if path := os.Getenv(envTomorrow); path != "" {
		return path, nil
	}
	return "", errors.New("the operator of tomorrow has not been built: call sandbox.Enter(testbed.PrepareTomorrow)")
}
