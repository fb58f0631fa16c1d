//go:build darwin

package darwin

import (
	"path/filepath"

	"golang.org/x/sys/unix"

	"kpm/platform/darwin/confined"
	"kpm/platform/darwin/kernel"
	"kpm/platform/darwin/libsystem"
)

var _ confining = mac{}

// NewConfiner returns a Confiner that starts program, the absolute path of
// keeperreader, which must belong to root and be writable by no one else. It is looked
// at whenever a process is needed.
func NewConfiner(program, agentRoot string) *Confiner {
	return newConfiner(mac{}, func() (string, error) { return checkHelper(filepath.Clean(program), agentRoot) })
}

// limitMemory implements confining.
func (mac) limitMemory(pid int) error {
	calls, err := libsystem.Bound()
	if err != nil {
		return err
	}
	return calls.LimitMemory(pid, kernel.FatalMemoryLimit(confined.MaxMemory))
}

// confinedFacts implements confining.
func (mac) confinedFacts(pid int) (f confinedFacts, err error) {
	calls, err := libsystem.Bound()
	if err != nil {
		return f, err
	}
	raw, err := unix.SysctlRaw("kern.proc.pid", pid)
	if err != nil {
		return f, err
	}
	if f.process, err = kernel.ParseProcess(raw); err != nil {
		return f, err
	}
	if f.groups, err = kernel.ParseGroups(raw); err != nil {
		return f, err
	}
	if f.path, err = calls.ProcessPath(pid); err != nil {
		return f, err
	}
	open, err := calls.Descriptors(pid)
	if err != nil {
		return f, err
	}
	f.descriptors = kernel.Descriptors(open)
	if f.sandboxed, err = calls.Sandboxed(pid); err != nil {
		return f, err
	}
	for _, operation := range forbidden {
		denied, err := calls.Denies(pid, operation)
		if err != nil {
			return f, err
		}
		if !denied {
			f.allowed = append(f.allowed, operation)
		}
	}
	f.memory, err = calls.MemoryLimit(pid)
	return f, err
}
