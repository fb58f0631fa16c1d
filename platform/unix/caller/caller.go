//go:build linux || darwin

// Package caller makes the ports of core/port/caller real on Linux and macOS: handles are
// descriptors that travel over a unix socket, and the command's terminal is the
// master side of a pty.
//
// It is what keepersudo links, which may not link net, fmt or JSON (fmt comes with
// golang.org/x/sys on macOS). How a request is asked, and what the answers mean, is
// package api/client/sudo's. Files named after a system hold what differs.
package caller

import (
	"sync"

	"golang.org/x/sys/unix"

	port "kpm/core/port/caller"
)

// New returns the ports of this process.
func New() port.Host {
	settle()
	conn := &connection{fd: -1}
	c := &console{conn: conn, wake: noWake, screen: sync.OnceValue(newScreen), stop: newStopper()}
	return port.Host{
		DefaultRoot:   defaultRoot,
		Administrator: unix.Geteuid() == 0,
		Stdout:        descriptor(unix.Stdout),
		Stderr:        descriptor(unix.Stderr),
		Random:        random,
		Replace:       replace,
		Handles:       handles{},
		Service:       conn,
		Console:       c,
		Prompt:        c,
		Signals:       signals{c},
	}
}

// replace implements port.Host.
func replace(argv []string) error { return unix.Exec(argv[0], argv, asStarted()) }
