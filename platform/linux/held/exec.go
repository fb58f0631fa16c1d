//go:build linux

package held

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// busyWaits are how long exec is put off, in milliseconds, while somebody has
// the program open for writing. A copy that was just written is: processes that
// the service forks at that moment hold its descriptor until they exec.
var busyWaits = [...]int64{0, 1, 2, 4, 8, 16, 32}

// exec returns only if it does not succeed.
//
//go:nosplit
//go:norace
func (h *helper) exec() (Step, syscall.Errno) {
	var errno syscall.Errno
	for i := range len(busyWaits) {
		if i > 0 {
			h.pause.Nsec = busyWaits[i] * 1_000_000
			unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&h.pause)), 0, 0)
		}
		if h.script == nil {
			errno = h.execHandle()
		} else if same, failed := h.sameScript(); !same {
			return StepScript, failed
		} else {
			errno = h.execScript()
		}
		if errno != unix.ETXTBSY {
			break
		}
	}
	return StepExec, errno
}

// execHandle executes the sealed file itself, whatever its path names by now
// (CVE-2021-3969).
//
//go:nosplit
//go:norace
func (h *helper) execHandle() syscall.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_EXECVEAT,
		uintptr(h.control.files[FileExecutable]), uintptr(unsafe.Pointer(&h.empty)),
		uintptr(unsafe.Pointer(&h.strings)), uintptr(unsafe.Pointer(&h.strings[h.env])), unix.AT_EMPTY_PATH, 0)
	return errno
}

// execScript executes a script by its path: the interpreter opens it again, and
// the handle is closed by then.
//
//go:nosplit
//go:norace
func (h *helper) execScript() syscall.Errno {
	_, _, errno := unix.RawSyscall(unix.SYS_EXECVE, uintptr(unsafe.Pointer(h.script)),
		uintptr(unsafe.Pointer(&h.strings)), uintptr(unsafe.Pointer(&h.strings[h.env])))
	return errno
}

// sameScript reports whether the script's path still names the approved file,
// or why that cannot be said.
//
//go:nosplit
//go:norace
func (h *helper) sameScript() (bool, syscall.Errno) {
	cwd := unix.AT_FDCWD
	fd, _, errno := unix.RawSyscall6(unix.SYS_OPENAT, uintptr(cwd), uintptr(unsafe.Pointer(h.script)),
		unix.O_PATH|unix.O_CLOEXEC, 0, 0, 0)
	if errno != 0 {
		return false, errno
	}
	_, _, errno = unix.RawSyscall(unix.SYS_FSTAT, fd, uintptr(unsafe.Pointer(&h.stat)), 0)
	unix.RawSyscall(unix.SYS_CLOSE, fd, 0, 0)
	return errno == 0 && identity(&h.stat) == h.head.identity, errno
}

// Identify returns the identity of the file behind fd.
func Identify(fd int) (Identity, error) {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return Identity{}, err
	}
	return identity(&st), nil
}

//go:nosplit
//go:norace
func identity(st *unix.Stat_t) Identity {
	return Identity{st.Dev, st.Ino, int64(st.Ctim.Sec), int64(st.Ctim.Nsec)}
}
