//go:build linux

package held

import (
	"encoding/binary"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What a helper that is prepared is told in one byte.
const (
	Drop = 0 // end; nobody wants to know
	Go   = 1 // become the program
)

// How a program that outlives the service ended is kept in a file, written by
// its helper before that ends, so that a service which is not there at the
// moment finds it. Whoever writes it first is right: a process that is about to
// become the program says itself that it will not. It need not survive a power
// loss, which no process does.
const (
	endExited      = 1 // value is the wait status
	endNotReleased = 2
	endNotStarted  = 3 // value is the step, from bit 16 on, and the errno
)

// EndSize is the length of an End in bytes.
const EndSize = 8

// told is what a helper says to the service that has released its program before it
// ends itself: how the program ended, and by which name the service knows the helper. A
// number alone could be another helper's by the time that it is read.
type told struct {
	status uint32 // of wait4
	name   [maxEnd]byte
}

// ToldSize is the length in bytes of what a helper tells.
const ToldSize = int(unsafe.Sizeof(told{}))

// DecodeTold reads what a helper has told: how its program ended, and the name in its
// Spec's End.
func DecodeTold(b []byte) (name string, status syscall.WaitStatus, ok bool) {
	if len(b) != ToldSize {
		return "", 0, false
	}
	name, _, ok = strings.Cut(string(b[unsafe.Offsetof(told{}.name):]), "\x00")
	return name, syscall.WaitStatus(binary.NativeEndian.Uint32(b)), ok && name != ""
}

// lull is how long a helper that has told how its program ended waits before it does
// what nobody waits for, in nanoseconds: on its processor is also who waits to be told.
const lull = 500_000

// tellEnd tells the service, if it is there, how the program ended. What it misses
// record has.
//
//go:nosplit
//go:norace
func (h *helper) tellEnd() {
	if h.head.outlives == 0 {
		return
	}
	h.told.status, h.told.name = h.watch.status, h.head.end
	_, _, errno := unix.RawSyscall6(unix.SYS_SENDTO, uintptr(h.ends), uintptr(unsafe.Pointer(&h.told)), uintptr(ToldSize), unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, 0, 0)
	if errno == 0 {
		h.pause.Sec, h.pause.Nsec = 0, lull
		unix.RawSyscall(unix.SYS_NANOSLEEP, uintptr(unsafe.Pointer(&h.pause)), 0, 0)
	}
}

// End is how a program ended.
type End struct {
	// Ran is false for a program that was never released, or could not be
	// started.
	Ran    bool
	Status syscall.WaitStatus
}

// DecodeEnd reads what a helper has written.
func DecodeEnd(b []byte) (End, bool) {
	if len(b) != EndSize {
		return End{}, false
	}
	kind, value := binary.NativeEndian.Uint32(b), binary.NativeEndian.Uint32(b[4:])
	switch kind {
	case endExited:
		return End{Ran: true, Status: syscall.WaitStatus(value)}, true
	case endNotReleased, endNotStarted:
		return End{}, true
	}
	return End{}, false
}

// record writes how it ended, unless that was said already or nobody asks.
//
//go:nosplit
//go:norace
func (h *helper) record(kind, value uint32) {
	if h.head.outlives == 0 {
		return
	}
	fd, _, errno := unix.RawSyscall6(unix.SYS_OPENAT, uintptr(h.control.files[h.endFile()]), uintptr(unsafe.Pointer(&h.head.end)),
		unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600, 0, 0)
	if errno != 0 {
		return
	}
	h.end[0], h.end[1] = kind, value
	unix.RawSyscall(unix.SYS_WRITE, fd, uintptr(unsafe.Pointer(&h.end)), EndSize)
	unix.RawSyscall(unix.SYS_CLOSE, fd, 0, 0)
}
