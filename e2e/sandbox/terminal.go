// SPDX-License-Identifier: Apache-2.0

package sandbox

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
)

// execTerminal is exec with a terminal between the caller's streams and the command.
func (p *process) execTerminal(ctx context.Context, c command, resize <-chan remotecommand.TerminalSize) (int, error) {
	master, slave, err := openTerminal()
	if err != nil {
		return -1, err
	}
	defer master.Close()
	c.terminal = slave
	cmd, err := p.startExec(ctx, c)
	slave.Close()
	if err != nil {
		return -1, err
	}
	go func() {
		for size := range resize {
			_ = unix.IoctlSetWinsize(int(master.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: size.Height, Col: size.Width})
		}
	}()
	if c.stdin != nil {
		go func() { _, _ = io.Copy(master, c.stdin) }()
	}
	printed := make(chan struct{})
	go func() {
		defer close(printed)
		if c.stdout != nil {
			_, _ = io.Copy(c.stdout, master) // ends with an error when the last user of the terminal is gone
		}
	}()
	_ = cmd.Wait()
	select {
	case <-printed:
	case <-time.After(100 * time.Millisecond): // a grandchild may hold the terminal
	}
	return cmd.ProcessState.ExitCode(), ctx.Err()
}

func openTerminal() (*os.File, *os.File, error) {
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return nil, nil, err
	}
	number, err := unix.IoctlGetInt(int(master.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(master.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		master.Close()
		return nil, nil, fmt.Errorf("open a terminal: %w", err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		master.Close()
		return nil, nil, err
	}
	return master, slave, nil
}
