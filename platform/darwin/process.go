//go:build darwin

package darwin

import (
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"

	"kpm/platform/darwin/file"
	"kpm/platform/darwin/image"
	"kpm/platform/darwin/kernel"
	"kpm/platform/darwin/launchgroup"
	"kpm/platform/darwin/libsystem"
)

// mac is this machine.
type mac struct{}

var _ system = mac{}

// process implements system.
func (mac) process(pid int) (kernel.Process, bool) { return processOf(pid) }

// processes implements system.
func (mac) processes() (launchgroup.Table, error) { return processes() }

// whereIs implements system.
func (mac) whereIs(fd int) (file.Place, error) { return file.WhereIs(fd) }

// reopen implements system.
func (mac) reopen(fd int) (*os.File, error) { return file.Reopen(fd) }

// whatRuns implements system.
func (mac) whatRuns(pid int, s sealed) (running, error) {
	calls, err := libsystem.Bound()
	if err != nil {
		return running{}, err
	}
	var r running
	if r.path, err = calls.ProcessPath(pid); err != nil {
		return r, err
	}
	switch r.hash, err = calls.CodeHash(pid); {
	case errors.Is(err, image.ErrUnsigned):
		r.none = true
	case err != nil:
		return r, err
	}
	path := r.path
	if s.script {
		path = s.path
	}
	fd, at, err := file.Walk(path, file.Anywhere)
	if err != nil {
		return r, err
	}
	if fd >= 0 {
		unix.Close(fd)
	}
	r.node = at.Node
	return r, nil
}

// processOf returns one process with its session, as it is at this moment.
func processOf(pid int) (kernel.Process, bool) {
	if pid <= 0 {
		return kernel.Process{}, false
	}
	raw, err := unix.SysctlRaw("kern.proc.pid", pid)
	if err != nil || len(raw) == 0 {
		return kernel.Process{}, false
	}
	p, err := kernel.ParseProcess(raw)
	if err != nil || p.PID != pid {
		return kernel.Process{}, false
	}
	p.Session, _ = unix.Getsid(pid)
	return p, true
}

// processes returns every process.
func processes() (launchgroup.Table, error) {
	raw, err := sysctl("kern.proc.all")
	if err != nil {
		return nil, fmt.Errorf("list processes: %w", err)
	}
	all, err := kernel.ParseProcesses(raw)
	if err != nil {
		return nil, err
	}
	table := make(launchgroup.Table, len(all))
	for _, p := range all {
		if p.PID == 0 {
			continue // the kernel
		}
		p.Session, _ = unix.Getsid(p.PID)
		table[p.PID] = p
	}
	return table, nil
}

// sysctl reads a table that can grow between the question how long it is and the
// question for it.
func sysctl(name string) (raw []byte, err error) {
	for range 8 {
		if raw, err = unix.SysctlRaw(name); !errors.Is(err, unix.ENOMEM) {
			break
		}
	}
	return raw, err
}

// carried implements system. The kernel reads the process's memory; what cannot be
// read carries nothing.
func (mac) carried(pid int, wanted map[string]bool) []string {
	raw, err := unix.SysctlRaw("kern.procargs2", pid)
	if err != nil {
		return nil
	}
	env, err := kernel.Environment(raw)
	if err != nil {
		return nil
	}
	// The rest of a megabyte, all of which may be variables, is let go of.
	var carried []string
	for _, variable := range env {
		if wanted[variable] && !slices.Contains(carried, variable) {
			carried = append(carried, variable)
		}
	}
	return carried
}

// programPath implements descent.
func (mac) programPath(pid int) (string, error) {
	calls, err := libsystem.Bound()
	if err != nil {
		return "", err
	}
	return calls.ProcessPath(pid)
}

// arguments implements descent.
func (mac) arguments(pid int) ([]byte, error) {
	raw, err := unix.SysctlRaw("kern.procargs2", pid)
	if err != nil {
		return nil, err
	}
	return kernel.Arguments(raw)
}

// unknownBoot is the name of a boot that the kernel does not name.
const unknownBoot = "unknown"

// boot implements system.
func (mac) boot() string {
	id, err := unix.Sysctl("kern.bootsessionuuid")
	if err != nil {
		return unknownBoot
	}
	return id
}
