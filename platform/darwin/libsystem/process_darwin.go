package libsystem

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"kpm/platform/darwin/image"
	"kpm/platform/darwin/kernel"
)

// Numbers of sys/proc_info.h, xnu's bsd/sys/codesign.h and bsm/audit.h.
const (
	pathSize              = 4 * unix.PathMax // PROC_PIDPATHINFO_MAXSIZE
	procPidlistfds        = 1                // PROC_PIDLISTFDS
	procPidfdsocketinfo   = 3                // PROC_PIDFDSOCKETINFO
	csopsCDHash           = 5                // CS_OPS_CDHASH
	auditGetProcess       = 28               // A_GETPINFO_ADDR
	sandboxFilterNone     = 0                // SANDBOX_FILTER_NONE
	maxDescriptorsOfAPeer = 1 << 16
)

// ProcessPath returns where the file lies that a process runs, by the kernel's
// vnode of it and not by what the process says.
func (c *Calls) ProcessPath(pid int) (string, error) {
	buffer := make([]byte, pathSize)
	n, err := c.checked("proc_pidpath", func() int32 {
		if n := c.ProcPidpath(int32(pid), unsafe.Pointer(&buffer[0]), uint32(len(buffer))); n > 0 {
			return n
		}
		return -1
	})
	return string(buffer[:n]), err
}

// Descriptors returns the numbers and kinds of a process's descriptors
// (kernel.Sockets).
func (c *Calls) Descriptors(pid int) ([]byte, error) {
	for size := 256 * kernel.DescriptorSize; size <= maxDescriptorsOfAPeer*kernel.DescriptorSize; size *= 4 {
		buffer := make([]byte, size)
		n, err := c.checked("proc_pidinfo", func() int32 {
			if n := c.ProcPidinfo(int32(pid), procPidlistfds, 0, unsafe.Pointer(&buffer[0]), int32(size)); n > 0 {
				return n
			}
			return -1
		})
		if err != nil || n < size { // a full buffer may have had no room for more
			return buffer[:n], err
		}
	}
	return nil, fmt.Errorf("process %d has more than %d descriptors", pid, maxDescriptorsOfAPeer)
}

// Socket describes a socket of a process (kernel.ParseSocket).
func (c *Calls) Socket(pid int, fd int32) ([]byte, error) {
	var buffer [kernel.SocketSize]byte
	n, err := c.checked("proc_pidfdinfo", func() int32 {
		if n := c.ProcPidfdinfo(int32(pid), fd, procPidfdsocketinfo, unsafe.Pointer(&buffer[0]), int32(len(buffer))); n > 0 {
			return n
		}
		return -1
	})
	return buffer[:n], err
}

// PeerToken returns the audit token of the process at the other end of a local
// socket (kernel.ParseToken).
func (c *Calls) PeerToken(fd int) ([]byte, error) {
	var token [kernel.TokenSize]byte
	size := uint32(len(token))
	_, err := c.checked("LOCAL_PEERTOKEN", func() int32 {
		return c.Getsockopt(int32(fd), solLocal, unix.LOCAL_PEERTOKEN, unsafe.Pointer(&token[0]), &size)
	})
	return token[:min(int(size), len(token))], err
}

// solLocal is SOL_LOCAL (sys/un.h).
const solLocal = 0

// CodeHash returns the code directory hash that the kernel holds a running process
// to. The error wraps image.ErrUnsigned for one that has none.
func (c *Calls) CodeHash(pid int) (image.Hash, error) {
	var found image.Hash
	_, err := c.checked("csops", func() int32 {
		return c.Csops(int32(pid), csopsCDHash, unsafe.Pointer(&found[0]), uintptr(len(found)))
	})
	if err == nil && found == (image.Hash{}) || isErrno(err, unix.EINVAL) || isErrno(err, unix.ENOENT) {
		return found, fmt.Errorf("process %d: %w", pid, image.ErrUnsigned)
	}
	return found, err
}

// Sandboxed reports whether a process is in a sandbox, whatever that allows.
func (c *Calls) Sandboxed(pid int) (bool, error) {
	n, err := c.checked("sandbox_check", func() int32 { return c.SandboxCheck(int32(pid), nil, sandboxFilterNone) })
	return n != 0, err
}

// AuditSession returns the audit session of a process.
func (c *Calls) AuditSession(pid int) (uint32, error) {
	info := kernel.AuditQuestion(pid)
	if _, err := c.checked("auditon", func() int32 {
		return c.Auditon(auditGetProcess, unsafe.Pointer(&info[0]), uint32(len(info)))
	}); err != nil {
		return 0, err
	}
	return kernel.AuditSession(info), nil
}
