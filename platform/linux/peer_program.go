//go:build linux

package linux

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"kpm/core"
)

// Program implements port.Peers. It goes through a handle of the process's
// own directory, before and after which the start stamp is compared, so that it
// is never the program of a later process with the same pid (CVE-2019-6133);
// and through /proc/PID/exe, which is the file that the kernel executes,
// whatever the process has done to its name, its argv or that file's path.
func (*Peers) Program(id core.ProcessID) (*os.File, error) {
	p, err := openProcess(id.PID)
	if err != nil {
		return nil, fmt.Errorf("program: %w", err)
	}
	defer p.close()
	if err := p.is(id); err != nil {
		return nil, fmt.Errorf("program: %w", err)
	}
	// O_PATH asks no file system: it may be one whose daemon does not answer.
	fd, err := openat(p.dir, "exe", unix.O_PATH, 0)
	if err != nil {
		return nil, fmt.Errorf("program: %w", vanished(id.PID, err))
	}
	handle := os.NewFile(uintptr(fd), "exe")
	defer handle.Close()
	f, err := Files{}.Open(handle)
	if err != nil {
		return nil, fmt.Errorf("program of process %s: %w", id, err)
	}
	if err := p.is(id); err != nil {
		f.Close()
		return nil, fmt.Errorf("program: %w", err)
	}
	return f, nil
}

// is reports nil if the process is id and alive.
func (p process) is(id core.ProcessID) error {
	now, err := p.id()
	if err == nil && now != id {
		return fmt.Errorf("process %s: %w", id, errVanished)
	}
	return err
}
