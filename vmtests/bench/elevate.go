//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"kpm/vmtests/agent"
	"kpm/vmtests/terminal"
)

// program is what is elevated where the program is not the point.
const program = "/usr/bin/true"

// person runs commands and times them.
type person struct {
	user uint32
	home string
}

// command is one way to run a program.
type command struct {
	argv   []string
	tty    bool
	status int // with which it ends
}

// keepersudo runs argv through the agent at root.
func keepersudo(a *agent.Agent, argv ...string) command {
	return command{argv: append([]string{filepath.Join(a.Root, "keepersudo"), "--root", a.Root}, argv...)}
}

func (c command) onTerminal() command { c.tty = true; return c }

// sampler times c from fork to reaped, in milliseconds.
func (p person) sampler(ctx context.Context, name string, c command) sampler {
	return sampler{name, func() (float64, error) { return p.time(ctx, c) }}
}

func (p person) time(ctx context.Context, c command) (took float64, err error) {
	took, _, err = p.spend(ctx, c)
	return took, err
}

// spend is time, and how long processors worked for the command's own process.
func (p person) spend(ctx context.Context, c command) (took, worked float64, err error) {
	cmd := exec.CommandContext(ctx, c.argv[0], c.argv[1:]...)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "TERM=xterm", "LANG=C.UTF-8", "HOME=" + p.home}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: p.user, Gid: p.user}, Setsid: true}
	if c.tty {
		t, err := terminal.Open(p.user, 24, 80)
		if err != nil {
			return 0, 0, err
		}
		defer func() { err = errors.Join(err, t.Close()) }()
		t.Attach(cmd)
	} else {
		null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
		if err != nil {
			return 0, 0, err
		}
		defer null.Close()
		cmd.Stdin, cmd.Stdout, cmd.Stderr = null, null, null
	}
	began := time.Now()
	err = cmd.Run()
	took = milliseconds(time.Since(began))
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) || cmd.ProcessState.ExitCode() != c.status {
		return 0, 0, fmt.Errorf("%v: ended with %d: %w", c.argv, cmd.ProcessState.ExitCode(), err)
	}
	return took, milliseconds(cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()), nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }
