//go:build windows

// Package caller makes the ports of core/port/caller real on Windows: handles are
// those of this process, out of whose table the service takes them, and the
// command's terminal is the caller's end of a pseudo console.
//
// It is what keepersudo links. How a request is asked, and what the answers mean,
// is package api/client/sudo's.
package caller

import (
	"errors"
	"os"
	"unsafe"

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
		Random:        random,
		Handles:       handles{},
		Service:       service,
		Console:       c,
		Prompt:        c,
		Signals:       signals{},
	}
}

// random fills p, which is not empty, from the system (ProcessPrng of
// bcryptprimitives.dll, which is what the Go runtime asks too).
func random(p []byte) error {
	prng := windows.NewLazySystemDLL("bcryptprimitives.dll").NewProc("ProcessPrng")
	if err := prng.Find(); err != nil {
		return err
	}
	if ok, _, _ := prng.Call(uintptr(unsafe.Pointer(&p[0])), uintptr(len(p))); ok == 0 {
		return errors.New("ProcessPrng gives nothing")
	}
	return nil
}
