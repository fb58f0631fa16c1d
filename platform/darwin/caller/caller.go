//go:build darwin

// Package caller makes the ports of core/port/caller real on macOS: handles are
// descriptors that travel over a unix socket, and the command's terminal is the
// master side of a pty. Its files are those of platform/linux/caller, and differ
// where the systems do.
//
// It is what keepersudo links, which may not link net or JSON; fmt comes with
// golang.org/x/sys here. How a request is asked, and what the answers mean, is
// package api/client/sudo's.
package caller

import (
	"os"
	"sync"

	"golang.org/x/sys/unix"

	port "kpm/core/port/caller"
)

// New returns the ports of this process. That another process of the same user
// attaches to this one is for the hardened runtime to prevent, with which releases
// are signed.
func New() port.Host {
	conn := &connection{fd: -1}
	c := &console{conn: conn, wake: wakePipe{-1, -1}, screen: sync.OnceValue(newScreen), stop: stopper{make(chan os.Signal, 16)}}
	return port.Host{
		DefaultRoot:   defaultRoot,
		Administrator: unix.Geteuid() == 0,
		Stdout:        descriptor(unix.Stdout),
		Stderr:        descriptor(unix.Stderr),
		Handles:       handles{},
		Service:       conn,
		Console:       c,
		Prompt:        c,
		Signals:       signals{c},
	}
}
