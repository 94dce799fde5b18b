// SPDX-License-Identifier: Apache-2.0

package gobuild

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// EnvCache names the environment variable with the folder below which built things are kept; the user's cache folder by
// default.
const EnvCache = "REDISHA_CACHE"

// rootModule is the first line of the go.mod that marks the repository's root.
const rootModule = "module github.com/redisha/redisha\n"

// CacheDir returns a folder of the cache and makes it when it is missing.
func CacheDir(elements ...string) (string, error) {
	base := os.Getenv(EnvCache)
	if base == "" {
		var err error
		if base, err = os.UserCacheDir(); err != nil {
			return "", fmt.Errorf("no cache folder: set %s: %w", EnvCache, err)
		}
	}
	dir, err := filepath.Abs(filepath.Join(append([]string{base, "redisha"}, elements...)...))
	if err != nil {
		return "", err
	}
	return dir, os.MkdirAll(dir, 0o755)
}

// Root returns the folder of the repository that the working folder is in. Nested modules cannot be embedded, so
// whoever builds from them has to be inside.
func Root() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if text, err := os.ReadFile(filepath.Join(dir, "go.mod")); err == nil && bytes.HasPrefix(text, []byte(rootModule)) {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("run this inside the repository: what is built and applied is taken from there")
		}
		dir = parent
	}
}

// Lock takes the lock that the file at path stands for and returns what releases it. It waits for whoever holds it, and
// calls waiting once when it has to.
func Lock(ctx context.Context, path string, waiting func()) (func(), error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	for waited := false; ; waited = true {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return func() { f.Close() }, nil // closing releases the lock
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if !waited {
			waiting()
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, ctx.Err()
		case <-time.After(200 * time.Millisecond):
		}
	}
}
