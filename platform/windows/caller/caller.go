//go:build windows

// Package caller makes the ports of core/port/caller real on Windows: handles are
// those of this process, out of whose table the service takes them, and the
// command's terminal is the caller's end of a pseudo console.
//
// It is what keepersudo links. How a request is asked, and what the answers mean,
// is package api/client/sudo's.
package caller

import (
	"os"

	"golang.org/x/sys/windows"

	port "kpm/core/port/caller"
)

// defaultRoot is the one of core.Windows; a test compares them.
const defaultRoot = `C:\Program Files\KeeperPrivilegeManager`

// New returns the ports of this process.
func New() port.Host {
	service := &connection{}
	c := &console{service: service}
	return port.Host{
		DefaultRoot:   defaultRoot,
		Administrator: windows.GetCurrentProcessToken().IsElevated(),
		Stdout:        os.Stdout,
		Stderr:        os.Stderr,
		Handles:       handles{},
		Service:       service,
		Console:       c,
		Prompt:        c,
		Signals:       signals{},
	}
}
