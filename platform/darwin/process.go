//go:build darwin

package darwin

import (
	"errors"
	"fmt"
	"slices"

	"golang.org/x/sys/unix"

	"kpm/platform/darwin/kernel"
	"kpm/platform/darwin/launchgroup"
)

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

// carries reports whether a process was started with a variable, NAME=value
// (launchgroup.Carries). The kernel reads its memory; what cannot be read carries
// nothing.
func carries(pid int, variable string) bool {
	raw, err := unix.SysctlRaw("kern.procargs2", pid)
	if err != nil {
		return false
	}
	env, err := kernel.Environment(raw)
	if err != nil {
		return false
	}
	return slices.Contains(env, variable)
}

// boot names the time since this start of the machine.
func boot() string {
	id, err := unix.Sysctl("kern.bootsessionuuid")
	if err != nil {
		return "unknown"
	}
	return id
}
