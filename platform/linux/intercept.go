//go:build linux

package linux

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/linux/file"
)

// wayExec is the way that ExecutionControl stops: any program, before it runs.
const wayExec = "exec"

// Interception has plain "sudo" lead to keepersudo: a link in a directory that
// shells search before the one of the system's own sudo. sudo and sudo-rs stay
// as they are, at their own paths, and that is the way out when policy or the
// service is in the way (docs/keepersudo.md, "Plain sudo").
//
// It is a redirect and not a wall: who has rights in sudoers keeps them at
// /usr/bin/sudo. A plug-in of sudo, or a PAM module, would decide in its place; both
// are shared libraries that the system's own program loads as root, which Go makes
// only with cgo and brings its runtime into, and sudo-rs takes no plug-ins. A
// program that pam_exec(8) starts is told the user and not the command.
//
// For "exec", Disable ends what ExecutionControl has started and keeps every service from
// starting it, until Enable.
type Interception struct {
	// AgentRoot is where keepersudo is.
	AgentRoot string

	dir string // for tests; empty means sudoDir
}

var _ port.Interception = Interception{}

// sudoDir comes before /usr/bin in every PATH that login(1) and sudo set.
const sudoDir = "/usr/local/bin"

// ErrNotOurs is wrapped by errors about a file that somebody else has put where
// the link would be. It is never changed.
var ErrNotOurs = core.NewError(core.Conflict, "it is not this agent's")

// Enable implements port.Interception.
func (i Interception) Enable(_ context.Context, way string) error {
	if way == wayExec {
		if err := (ExecutionControl{AgentRoot: i.AgentRoot}).enable(); err != nil {
			return fmt.Errorf("interception of executions: %w", err)
		}
		return nil
	}
	target, link, err := i.places(way)
	if err != nil {
		return err
	}
	if err := safe(target); err != nil {
		return fmt.Errorf("interception of sudo: %w", err)
	}
	err = os.Symlink(target, link)
	if errors.Is(err, fs.ErrExist) {
		err = ours(target, link)
	}
	if err != nil {
		return fmt.Errorf("interception of sudo: %w", err)
	}
	return nil
}

// Disable implements port.Interception. It asks nobody and needs nothing but the
// link itself; one that leads to a program that has gone is removed as well.
func (i Interception) Disable(ctx context.Context, way string) error {
	if way == wayExec {
		if err := (ExecutionControl{AgentRoot: i.AgentRoot}).disable(ctx); err != nil {
			return fmt.Errorf("interception of executions: %w", err)
		}
		return nil
	}
	target, link, err := i.places(way)
	if err != nil {
		return err
	}
	err = ours(target, link)
	if err == nil {
		err = os.Remove(link)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("interception of sudo: %w", err)
	}
	return nil
}

func (i Interception) places(way string) (target, link string, err error) {
	if way != "sudo" {
		return "", "", fmt.Errorf("interception of %q: Linux has \"sudo\" and \"exec\": %w", way, errors.ErrUnsupported)
	}
	return filepath.Join(i.AgentRoot, "keepersudo"), filepath.Join(cmp.Or(i.dir, sudoDir), "sudo"), nil
}

// ours reports whether the link is one that Enable made.
func ours(target, link string) error {
	to, err := os.Readlink(link)
	switch {
	case errors.Is(err, unix.EINVAL) || err == nil && to != target:
		return fmt.Errorf("%s: %w: move it away if plain sudo shall be keepersudo", link, ErrNotOurs)
	case err != nil:
		return err
	}
	return nil
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
