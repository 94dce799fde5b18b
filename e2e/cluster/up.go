// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Up makes the cluster and looks whether volumes, names and Services work; of one that runs, it brings the images up to
// date. When it fails or ctx ends, what it has made is removed.
func Up(ctx context.Context, progress io.Writer, options Options) (c *Cluster, err error) {
	log := newSteps(progress)
	if options.Images, err = choice(options); err != nil {
		return nil, err
	}
	dir, err := stateDir()
	if err != nil {
		return nil, err
	}
	unlock, err := locked(ctx, log, dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	a := &attempt{log: log, dir: dir, options: options}
	_, none := readState(dir)
	a.made = none != nil
	defer func() {
		if err == nil || options.Keep || !a.made {
			return
		}
		fmt.Fprintln(log, "that failed; removing what has been made")
		cleaning, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
		defer cancel()
		err = errors.Join(err, remove(cleaning, log, dir))
	}()
	return a.up(ctx)
}

// attempt is one run of Up.
type attempt struct {
	log     *steps
	dir     string
	options Options
	made    bool // whether what is there was made by this run; what was there before is left alone when it fails
}

func (a *attempt) up(ctx context.Context) (*Cluster, error) {
	if err := startEngine(ctx, a.log, a.dir); err != nil {
		return nil, err
	}
	plan, err := prepare(ctx, a.log, a.dir, a.options.Images)
	if err != nil {
		return nil, err
	}
	c, err := running(ctx, a.dir, plan)
	if err != nil {
		return nil, err
	}
	made := c == nil
	if made {
		a.made = true
		c, err = create(ctx, a.log, a.dir, plan, a.options.Keep)
	} else {
		err = keepFence(ctx)
	}
	if err != nil {
		return nil, err
	}
	if err := a.log.step("images for the tests", func() error { return c.loadNew(ctx, plan) }); err != nil {
		return nil, err
	}
	if !made {
		return c, nil // it has been looked at when it was made
	}
	return c, a.log.step("volumes, names and Services work", func() error { return c.check(ctx) })
}

// Down removes the cluster and whatever Up has done to the machine; caches stay.
func Down(ctx context.Context, progress io.Writer) error {
	log := newSteps(progress)
	dir, err := stateDir()
	if err != nil {
		return err
	}
	unlock, err := locked(ctx, log, dir)
	if err != nil {
		return err
	}
	defer unlock()
	return remove(ctx, log, dir)
}

func remove(ctx context.Context, log *steps, dir string) error {
	err := log.step("removing cluster and network", func() error {
		if err := reviveEngine(ctx, log, dir); err != nil {
			return err
		}
		if !engineAnswers(ctx) {
			return nil // nothing can be there
		}
		return errors.Join(deleteNodes(), removeNetwork(ctx))
	})
	err = errors.Join(err, lowerFence(ctx), stopEngine(ctx, log, dir))
	for _, file := range []string{stateFile(dir), kubeconfigFile(dir)} {
		if removal := os.Remove(file); removal != nil && !errors.Is(removal, os.ErrNotExist) {
			err = errors.Join(err, removal)
		}
	}
	return err
}

func kubeconfigFile(dir string) string { return filepath.Join(dir, "kubeconfig") }
