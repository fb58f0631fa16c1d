//go:build darwin

package darwin

import (
	"context"
	"fmt"
	"path/filepath"

	"kpm/core"
	"kpm/platform/darwin/file"
	"kpm/platform/darwin/libsystem"
	"kpm/platform/unix/pam/askpam"
)

// NewTree returns the process tree of this machine.
func NewTree() *Tree { return newTree(mac{}) }

// NewAncestry returns the Ancestry of this machine.
func NewAncestry() *Ancestry { return newAncestry(mac{}) }

// NewLauncher returns a Launcher that keeps spare children (0 to 64) waiting.
// helper is the keeperlaunch executable.
func NewLauncher(helper, agentRoot string, spare int) (*Launcher, error) {
	if _, err := libsystem.Bound(); err != nil {
		return nil, fmt.Errorf("launcher: %w", err)
	}
	path, err := checkHelper(helper, agentRoot)
	if err != nil {
		return nil, fmt.Errorf("launcher: %w", err)
	}
	return newLauncher(mac{}, path, spare, func() ([]core.Session, error) { return Sessions{}.List(context.Background()) })
}

// NewPAM returns a PAM that starts program, the absolute path of keeperpam, which must
// belong to root and be writable by no one else. It is looked at whenever somebody is
// asked.
func NewPAM(program, agentRoot string) *askpam.PAM {
	return newPAM(mac{}, func() (string, error) { return checkHelper(filepath.Clean(program), agentRoot) })
}

// checkHelper returns the helper's path without links. macOS executes by path
// only, so that root alone must be able to change everything on the way to it.
func checkHelper(path, agentRoot string) (string, error) {
	f, err := (file.Files{AgentRoot: filepath.Clean(agentRoot)}).LocateProtected(path)
	if err != nil {
		return "", fmt.Errorf("open %s: %w; it is a part of the agent: install it again", path, err)
	}
	defer f.Close()
	var at file.Place
	if err := onDescriptor(f, func(fd int) (err error) {
		at, err = file.WhereIs(fd)
		return err
	}); err != nil {
		return "", err
	}
	if !at.Regular() || at.Mode&0o111 == 0 {
		return "", fmt.Errorf("%s: not an executable file: %w", path, core.ErrNotRegular)
	}
	return at.Path, nil
}
