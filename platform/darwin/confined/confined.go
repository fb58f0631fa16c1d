//go:build unix

// Package confined is the inside of a process without any privilege on macOS: it
// gives up everything that the process has, looks whether it has, and then carries
// its one connection.
//
// It decides nothing and parses nothing. Package darwin starts such processes as
// users of their own, holds them to what is promised here by what the kernel says of
// them, and is the only one at the other end. What macOS alone has is System, so that
// the rest is tested on other systems.
package confined

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"kpm/core/port"
	"kpm/platform/unix/handover"
)

// Name is argv[0] of the process, and how process lists show it.
const Name = "keeperreader"

// Environ is the whole environment, for the Go runtime alone: one processor;
// garbage is collected well before MaxMemory is reached; threads are not interrupted
// by signals, of which nothing says that a sandbox lets them through.
var Environ = []string{"GOMAXPROCS=1", "GOMEMLIMIT=384MiB", "GOTRACEBACK=none", "GODEBUG=asyncpreemptoff=1"}

// Bounds of a process.
const (
	// MaxMemory is what it can have of memory, in mebibytes. A reader of signatures
	// takes a few, some hundred for the worst file. The service sets it: macOS has no
	// resource limit that bounds memory.
	MaxMemory = 512
	// MaxCPU is its whole processor time, in seconds: a process that works for a
	// service that has been killed ends by itself.
	MaxCPU       = 120
	maxFiles     = 16
	maxProcesses = 32 // of its user; Linux, where this is tested, counts threads
)

// limits are soft and hard.
var limits = []struct {
	resource int
	most     uint64
}{
	{unix.RLIMIT_CPU, MaxCPU},
	{unix.RLIMIT_NOFILE, maxFiles},
	{unix.RLIMIT_NPROC, maxProcesses},
	{unix.RLIMIT_FSIZE, 0},
	{unix.RLIMIT_CORE, 0}, // the file that it reads may be private
	{unix.RLIMIT_MEMLOCK, 0},
}

// System is what such a process needs of macOS.
type System interface {
	// EndAt has the kernel end this process at a signal, whatever it is doing.
	EndAt(unix.Signal) error
	// EnterSandbox puts this process into a sandbox that allows no service of the
	// operating system, for good.
	EnterSandbox() error
}

// errOpens is what a process finds that only believes to be confined.
var errOpens = errors.New("it can still open files")

// Main confines this process and lets serve work on its connection until the
// service closes it. It does not return.
func Main(serve func(port.Confinement) error, system func() (System, error)) {
	handover.Main(func() error { return confine(system) }, serve)
}

// confine gives up what the process was not born without.
func confine(system func() (System, error)) error {
	calls, err := system()
	if err != nil {
		return fmt.Errorf("find the functions of macOS: %w", err)
	}
	for _, step := range []struct {
		what string
		do   func() error
	}{
		// macOS tells by a signal that the time is over, and does nothing else; the Go
		// runtime ignores it. Package os/signal would open a pipe for it, which no such
		// process may have, and nobody would listen where a parser goes round.
		{"have an end", func() error { return calls.EndAt(unix.SIGXCPU) }},
		{"limit itself", setLimits},
		{"enter its sandbox", calls.EnterSandbox},
		// Attack: a version whose sandbox does nothing any more, and says so to
		// nobody. The function has been deprecated for long.
		{"see that its sandbox holds", opensNothing},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	return nil
}

func setLimits() error {
	for _, l := range limits {
		if err := unix.Setrlimit(l.resource, &unix.Rlimit{Cur: l.most, Max: l.most}); err != nil {
			return fmt.Errorf("%d to %d: %w", l.resource, l.most, err)
		}
	}
	return nil
}

// opensNothing tries what everybody may: the sandbox must refuse it, and nothing else.
func opensNothing() error {
	for _, path := range []string{"/", os.DevNull} {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if err == nil {
			unix.Close(fd)
			return fmt.Errorf("%s: %w", path, errOpens)
		}
		if !errors.Is(err, unix.EPERM) {
			return fmt.Errorf("open %s: %w, expected %w", path, err, unix.EPERM)
		}
	}
	return nil
}
