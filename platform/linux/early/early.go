//go:build linux

// Package early is the part of keepersudo that runs before the Go runtime does: it sends
// the request, and where there is no terminal it waits, passes signals on, and ends as the
// command did. The runtime takes longer to start and to end than all that. It is started
// for everything else: options but for -n and --root, several terminals, questions,
// refusals, SIGTSTP, a service that goes away; and for a terminal, while the service is at
// work.
//
// It is not how keepersudo asks: that is package api/client/sudo's, whose request it
// repeats byte for byte. What it cannot do it has not begun, or leaves to the runtime as
// it is (Taken). Like keepersudo it has no authority: whoever tampers with it changes only
// what their own user asks for.
//
// Where the linker has not been given the entry point (entry_amd64.s and its like),
// nothing of this happens, and keepersudo does the same by itself.
package early

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"kpm/core/door"
)

// The functions of this package that begin reaches run on the stack that the kernel has
// made, in a process with one thread and without the runtime. As in platform/linux/held,
// nothing may need that: no allocation, no growing of the stack, no scheduling. So every
// function is nosplit, memory is set aside in first, and system calls are raw.

// stage is all the memory that is used before the runtime starts. Pages that a short
// request does not reach are never touched.
type stage struct {
	conn     int  // the connection to the service
	sent     bool // the request is
	key      door.Key
	have     int
	received [256]byte // what the service has said, have bytes of it

	signals     int // is read for those that are the command's; 0 before they are blocked
	stop        int // becomes readable when SIGTSTP waits
	mask        uint64
	started     bool
	interrupted uint32 // the last signal before that, 0 if there was none
	unsent      int    // how many of kept there are
	kept        [16]Signal
	screen      screen
	info        [128]byte
	word        [headerSize + 8]byte

	st      unix.Statx_t
	control control
	address address
	path    [unix.PathMax]byte
	request writer
}

// first is that of this process.
var first stage

// local is what begin has in place of the runtime's thread-local memory: what assembler
// calls in Go loads a word from beside it, and does not use it.
var local [4]uintptr //nolint:unused // the entry point, in assembler, uses it

// The entry point calls it, by a name that no compiler sees.
var _ = begin

// begin is called by the entry point with the address at which the kernel has put argc,
// argv and the environment. It returns if the runtime is to start.
//
//go:nosplit
//go:norace
func begin(arguments *uintptr) {
	if !first.screen.look() || !first.read(arguments) || !first.ask() {
		return
	}
	// A terminal is the runtime's to carry bytes to and from; it starts while the service
	// is at work.
	if !first.screen.terminal {
		first.wait()
	}
	first.pass(false) // what is taken now does not end the runtime while it starts
	closeFile(first.signals)
	closeFile(first.stop)
}

// Taken is what a request that was sent before the runtime started has left to it.
type Taken struct {
	Connection int
	Received   []byte // of what the service says, from the beginning
}

// Take returns what is left, once, and false if there is nothing.
func Take() (Taken, bool) {
	if !first.sent {
		return Taken{}, false
	}
	first.sent = false
	return Taken{first.conn, first.received[:first.have]}, true
}

// Key is that of the request which was sent, until somebody takes what it has left.
func Key() (door.Key, bool) { return first.key, first.sent }

// ask sends the request that read has written, and reports whether it did. If it did not,
// nothing has changed.
//
//go:nosplit
//go:norace
func (s *stage) ask() bool {
	// Attack: another process of the same user attaches to this one and asks, with its
	// key, for what it has asked for.
	unix.RawSyscall6(unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 0, 0, 0, 0, 0)
	if !s.setKey() {
		return false
	}
	directory, errno := open(here, unix.O_PATH|unix.O_DIRECTORY)
	if errno != 0 {
		return false
	}
	program := 0
	if s.request.hasPath {
		if program, errno = openAt(s.request.command, unix.O_PATH); errno != 0 {
			closeFile(directory)
			return false
		}
	}
	if s.connect(s.request.root) {
		if s.blockSignals() {
			s.send(directory, program)
		} else {
			closeFile(s.conn)
		}
	}
	closeFile(directory)
	if s.request.hasPath {
		closeFile(program)
	}
	return s.sent
}

//go:nosplit
//go:norace
func closeFile(fd int) { unix.RawSyscall(unix.SYS_CLOSE, uintptr(fd), 0, 0) }

// open opens a file by a name of this package's.
//
//go:nosplit
//go:norace
func open(name string, flags uintptr) (int, syscall.Errno) { return openAt(text(name), flags) }

//go:nosplit
//go:norace
func openAt(name *byte, flags uintptr) (int, syscall.Errno) {
	cwd := unix.AT_FDCWD
	fd, _, errno := unix.RawSyscall6(unix.SYS_OPENAT, uintptr(cwd), uintptr(unsafe.Pointer(name)), flags|unix.O_CLOEXEC|unix.O_LARGEFILE, 0, 0, 0)
	return int(fd), errno
}
