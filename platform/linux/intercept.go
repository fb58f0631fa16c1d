//go:build linux

package linux

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/linux/file"
	"kpm/platform/unix/redirect"
)

// wayExec is the way that ExecutionControl stops: any program, before it runs.
const wayExec = "exec"

// Interception has plain "sudo" lead to keepersudo (package redirect).
//
// For "exec", Disable ends what ExecutionControl has started and keeps every service from
// starting it, until Enable.
type Interception struct {
	// AgentRoot is where keepersudo is.
	AgentRoot string

	dir string // for tests; empty means redirect.Directory
}

var _ port.Interception = Interception{}

// Enable implements port.Interception.
func (i Interception) Enable(_ context.Context, way string) error {
	if way == wayExec {
		if err := (ExecutionControl{AgentRoot: i.AgentRoot}).enable(); err != nil {
			return fmt.Errorf("interception of executions: %w", err)
		}
		return nil
	}
	sudo, err := i.sudo(way)
	if err != nil {
		return err
	}
	return sudo.Enable()
}

// Disable implements port.Interception.
func (i Interception) Disable(ctx context.Context, way string) error {
	if way == wayExec {
		if err := (ExecutionControl{AgentRoot: i.AgentRoot}).disable(ctx); err != nil {
			return fmt.Errorf("interception of executions: %w", err)
		}
		return nil
	}
	sudo, err := i.sudo(way)
	if err != nil {
		return err
	}
	return sudo.Disable()
}

func (i Interception) sudo(way string) (redirect.Sudo, error) {
	if way != "sudo" {
		return redirect.Sudo{}, fmt.Errorf("interception of %q: Linux has \"sudo\" and \"exec\": %w", way, errors.ErrUnsupported)
	}
	return redirect.Sudo{Program: filepath.Join(i.AgentRoot, "keepersudo"), Dir: cmp.Or(i.dir, redirect.Directory), Safe: safe}, nil
}

// safe refuses to send people to a program that is not there or not root's alone.
func safe(target string) error {
	fd, err := unix.Open(target, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w; install the agent again", target, err)
	}
	defer unix.Close(fd)
	at, err := file.RootAlone(fd, target)
	if err == nil && (!at.Regular() || at.Mode&0o111 == 0) {
		err = fmt.Errorf("%s: not an executable file: %w", target, core.ErrNotRegular)
	}
	return err
}
