//go:build linux || darwin

// Package redirect has plain "sudo" lead to keepersudo: a link in a directory that shells
// search before the one of the system's own sudo. That stays as it is, at its own path,
// and is the way out when policy or the service is in the way (docs/keepersudo.md, "Plain
// sudo").
//
// It is a redirect and not a wall: who has rights in sudoers keeps them at /usr/bin/sudo.
// A plug-in of sudo, or a PAM module, would decide in its place; both are shared
// libraries that the system's own program loads as root, which Go makes only with cgo and
// brings its runtime into, and sudo-rs takes no plug-ins. A program that pam_exec(8)
// starts is told the user and not the command.
package redirect

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"kpm/core"
)

// Directory comes before /usr/bin in every PATH that login(1) and sudo set on Linux, and
// that path_helper(8) makes on macOS.
const Directory = "/usr/local/bin"

// ErrNotOurs is wrapped by errors about a file that somebody else has put where
// the link would be. It is never changed.
var ErrNotOurs = core.NewError(core.Conflict, "it is not this agent's")

// Sudo is the redirect of sudo.
type Sudo struct {
	Program string // keepersudo
	Dir     string // Directory, but in tests
	// Safe refuses to send people to a program that is not there or that others than
	// root can change.
	Safe func(program string) error
}

func (s Sudo) link() string { return filepath.Join(s.Dir, "sudo") }

// Enable makes the link, if it is not there.
func (s Sudo) Enable() error {
	err := s.Safe(s.Program)
	if err == nil {
		err = os.Symlink(s.Program, s.link())
	}
	if errors.Is(err, fs.ErrExist) {
		err = s.ours()
	}
	if err != nil {
		return fmt.Errorf("interception of sudo: %w", err)
	}
	return nil
}

// Disable removes the link. It asks nobody and needs nothing but the link itself; one
// that leads to a program that has gone is removed as well.
func (s Sudo) Disable() error {
	err := s.ours()
	if err == nil {
		err = os.Remove(s.link())
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("interception of sudo: %w", err)
	}
	return nil
}

// ours reports whether the link is one that Enable made.
func (s Sudo) ours() error {
	to, err := os.Readlink(s.link())
	switch {
	case errors.Is(err, syscall.EINVAL) || err == nil && to != s.Program:
		return fmt.Errorf("%s: %w: move it away if plain sudo shall be keepersudo", s.link(), ErrNotOurs)
	case err != nil:
		return err
	}
	return nil
}
