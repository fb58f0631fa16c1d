package libsystem

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"kpm/platform/darwin/kernel"
)

// Numbers of sandbox.h and xnu's bsd/sys/kern_memorystatus.h; the last is
// SANDBOX_CHECK_NO_REPORT, which libsystem_sandbox exports and several programs publish.
const (
	sandboxNamed      = 0x1 // SANDBOX_NAMED
	setMemoryLimit    = 7   // MEMORYSTATUS_CMD_SET_MEMLIMIT_PROPERTIES
	getMemoryLimit    = 8   // MEMORYSTATUS_CMD_GET_MEMLIMIT_PROPERTIES
	sandboxUnreported = 0x40000000
)

// pureComputation is kSBXProfilePureComputation: "all operating system services are
// prohibited" (sandbox_init(3)).
const pureComputation = "pure-computation"

// EndAt has the kernel do at a signal what it does by default, and not what the Go
// runtime does.
func (c *Calls) EndAt(signal unix.Signal) error {
	const byDefault, failed = 0, ^uintptr(0) // SIG_DFL and SIG_ERR (sys/signal.h)
	if c.Signal(int32(signal), byDefault) == failed {
		return fmt.Errorf("signal %d: it cannot have its default", int(signal))
	}
	return nil
}

// EnterSandbox puts this process into a sandbox in which it may use what it has open,
// and nothing else, for good.
func (c *Calls) EnterSandbox() error {
	var fault *byte
	switch failed := c.SandboxInit(pureComputation, sandboxNamed, unsafe.Pointer(&fault)); {
	case fault != nil:
		return fmt.Errorf("sandbox_init: %s", unix.BytePtrToString(fault))
	case failed != 0:
		return fmt.Errorf("sandbox_init: %d, without a reason", failed)
	}
	return nil
}

// Denies reports whether the sandbox of a process denies an operation, whatever it is
// about (WebKit, Source/WebKit: sandbox_check with "process-info-pidinfo"). A process
// in none is denied nothing. Nothing is written to the system's log.
func (c *Calls) Denies(pid int, operation string) (bool, error) {
	name, err := unix.BytePtrFromString(operation)
	if err != nil {
		return false, err
	}
	n, err := c.checked("sandbox_check of "+operation, func() int32 {
		return c.SandboxCheck(int32(pid), unsafe.Pointer(name), sandboxFilterNone|sandboxUnreported)
	})
	return n != 0, err
}

// LimitMemory has the kernel kill a process that has more memory than l says.
func (c *Calls) LimitMemory(pid int, l kernel.MemoryLimit) error {
	told := l.Encode()
	_, err := c.checked("limit its memory", func() int32 {
		return c.Memorystatus(setMemoryLimit, int32(pid), 0, unsafe.Pointer(&told[0]), uintptr(len(told)))
	})
	return err
}

// MemoryLimit returns what a process may have of memory. Kernels before macOS 10.15
// know the shorter answer alone.
func (c *Calls) MemoryLimit(pid int) (l kernel.MemoryLimit, err error) {
	for _, size := range []int{kernel.MemoryLimitAnswerSize, kernel.MemoryLimitSize} {
		answer := make([]byte, size)
		_, err = c.checked("read its memory limit", func() int32 {
			return c.Memorystatus(getMemoryLimit, int32(pid), 0, unsafe.Pointer(&answer[0]), uintptr(size))
		})
		if err == nil {
			return kernel.ParseMemoryLimit(answer)
		}
		if !isErrno(err, unix.EINVAL) {
			break
		}
	}
	return l, err
}
