package caller

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// grow has the stack of whoever calls it grow to what keepersudo needs, in one step and
// while there is little on it.
func grow()

// noteEnd is where the signal handler writes what the kernel says about a
// signal. Package os/signal does not say who has sent one. A handler knows
// nothing but fixed places.
var noteEnd int32 = -1 //nolint:unused // the handler, in assembler, uses it

// handler returns the addresses of the signal handler and of what it returns
// to, 0 where the kernel provides that.
func handler() (noted, back uintptr)

// Flags of sigaction(2).
const (
	withInfo     = 0x4
	withRestorer = 0x04000000
	onOwnStack   = 0x08000000 // which the runtime has set up for each thread
	restart      = 0x10000000
)

// action is struct sigaction of the kernel.
type action struct {
	handler  uintptr
	flags    uint64
	restorer uintptr
	mask     uint64
}

// Handlers that are none.
const (
	byDefault = 0
	ignore    = 1
)

// setAction sets how a signal is handled and returns how it was.
func setAction(sig unix.Signal, to action) (before action) {
	unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(sig), uintptr(unsafe.Pointer(&to)), uintptr(unsafe.Pointer(&before)), 8, 0, 0)
	return before
}

// note has a signal written to noteEnd.
func note(sig unix.Signal) {
	noted, back := handler()
	a := action{handler: noted, flags: withInfo | onOwnStack | restart, restorer: back, mask: ^uint64(0)}
	if back != 0 {
		a.flags |= withRestorer
	}
	setAction(sig, a)
}
