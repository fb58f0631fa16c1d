//go:build linux

// Package caller makes the ports of core/port/caller real on Linux: handles are
// descriptors that travel over a unix socket, and the command's terminal is the
// master side of a pty.
//
// It is what keepersudo links, which may not link net, fmt or JSON. How a
// request is asked, and what the answers mean, is package api/client/sudo's.
package caller

import (
	"sync"

	"golang.org/x/sys/unix"

	port "kpm/core/port/caller"
)

// New returns the ports of this process.
func New() port.Host {
	// Attack: another process of the same user attaches to this one and takes
	// the master side of a root command's terminal.
	unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	ignoreAgain()
	conn := &connection{fd: -1}
	c := &console{conn: conn, wake: wakePipe{-1, -1}, screen: sync.OnceValue(newScreen)}
	return port.Host{
		DefaultRoot:   defaultRoot,
		Administrator: unix.Geteuid() == 0,
		Stdout:        descriptor(unix.Stdout),
		Stderr:        descriptor(unix.Stderr),
		Random:        random,
		Handles:       handles{},
		Service:       conn,
		Console:       c,
		Prompt:        c,
		Signals:       signals{c},
	}
}

// random fills p from the kernel. Package crypto/rand is more than keepersudo
// needs.
func random(p []byte) error {
	for len(p) > 0 {
		n, err := unix.Getrandom(p, 0)
		if err != nil && err != unix.EINTR {
			return err
		}
		p = p[max(0, n):]
	}
	return nil
}
