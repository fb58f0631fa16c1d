//go:build linux

package held

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A program that has a terminal, or outlives the service, is the child of its
// helper, which stays: it leads the session, and the program is a job in it as
// below a shell. The kernel stops no program whose parent is in another session,
// and without that Ctrl-Z, SIGTTIN and SIGTTOU do nothing. To whoever has the
// other side of the terminal the helper says when the program was stopped, and it
// does what they ask. To the service it is the program: it passes signals on, and
// ends as the program has ended. A service that was not there then reads how in a
// file (end.go).

// What the helper is asked over the connection that travels with the terminal.
// It answers with the number of the signal that has stopped the program.
const (
	AskForeground = 'f' // go on, with the terminal
	AskBackground = 'b' // go on, without it
	AskSuspend    = 'z' // stop, as the terminal's key asks for it
)

// watch is the memory of a helper that watches.
type watch struct {
	command uintptr // the program's process and process group
	front   int32   // who had the terminal when the program was stopped
	own     int32   // the helper's own process group
	group   int32   // what an ioctl reads or writes
	status  uint32  // of wait4
	polled  [2]unix.PollFd
	info    [128]byte // struct signalfd_siginfo
	none    uint64    // an empty set of signals
	all     uint64    // a full one
	byte    [1]byte
}

// part makes a child that is to become the program, as what the helper, which is
// to stay, watches.
//
//go:nosplit
//go:norace
func (h *helper) part() syscall.Errno {
	w := &h.watch
	w.all = ^uint64(0)
	// Before the fork: no signal is lost, and none stops who sets the
	// foreground from behind.
	if errno := h.mask(&w.all); errno != 0 {
		return errno
	}
	fd, _, errno := unix.RawSyscall6(unix.SYS_SIGNALFD4, ^uintptr(0), uintptr(unsafe.Pointer(&w.all)), 8, unix.SFD_CLOEXEC|unix.SFD_NONBLOCK, 0, 0)
	if errno != 0 {
		return errno
	}
	flags := uintptr(unix.SIGCHLD)
	if h.staysUntraceable() {
		flags |= unix.CLONE_VM
	}
	top := uintptr(unsafe.Pointer(&h.stack)) + unsafe.Sizeof(h.stack)
	pid := split(flags, top&^15-stackRoom, 0, h, parted)
	if pid > maxPid {
		return syscall.Errno(-pid)
	}
	w.command, w.polled[0].Fd = pid, int32(fd)
	return 0
}

// staysUntraceable reports whether a process of this kernel that takes other ids
// keeps its memory out of its new owner's reach (proc_sys_fs(5), suid_dumpable):
// 1 makes it dumpable, 0 and 2 do not.
//
//go:nosplit
//go:norace
func (h *helper) staysUntraceable() bool {
	cwd := unix.AT_FDCWD
	fd, _, errno := unix.RawSyscall6(unix.SYS_OPENAT, uintptr(cwd), uintptr(unsafe.Pointer(&h.dumpFile)), unix.O_RDONLY|unix.O_CLOEXEC, 0, 0, 0)
	if errno != 0 {
		return false
	}
	b := &h.watch.byte[0]
	n, _, _ := unix.RawSyscall(unix.SYS_READ, fd, uintptr(unsafe.Pointer(b)), 1)
	unix.RawSyscall(unix.SYS_CLOSE, fd, 0, 0)
	return n == 1 && (*b == '0' || *b == '2')
}

// command is the child that part has made. It is a process group of its own, in the
// foreground if it is to be there, and becomes the program.
//
//go:nosplit
//go:norace
func (h *helper) command() {
	if _, _, errno := unix.RawSyscall(unix.SYS_SETPGID, 0, 0, 0); errno != 0 {
		h.fail(StepWatch, errno)
	}
	own, _, _ := unix.RawSyscall(unix.SYS_GETPID, 0, 0, 0)
	if h.head.terminal == foreground {
		h.front(int32(own))
	}
	if errno := h.mask(&h.watch.none); errno != 0 {
		h.fail(StepWatch, errno)
	}
	h.fail(h.become())
}

//go:nosplit
//go:norace
func (h *helper) mask(set *uint64) syscall.Errno {
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGPROCMASK, unix.SIG_SETMASK, uintptr(unsafe.Pointer(set)), 0, 8, 0, 0)
	return errno
}

// front gives the terminal to a process group.
//
//go:nosplit
//go:norace
func (h *helper) front(group int32) {
	h.watch.group = group
	unix.RawSyscall(unix.SYS_IOCTL, uintptr(h.control.files[FileTerminal]), unix.TIOCSPGRP, uintptr(unsafe.Pointer(&h.watch.group)))
}

// stay watches the program to its end and does not return.
//
// It holds nothing of the program's: whoever reads the program's output must
// see its end when the program closes it. Attack: closing a file of the
// caller's own file system (FUSE) can take for ever. Then the program runs
// unwatched, and keeps its caller's place.
//
//go:nosplit
//go:norace
func (h *helper) stay() {
	w := &h.watch
	own, _, _ := unix.RawSyscall(unix.SYS_GETPID, 0, 0, 0)
	w.own, w.front = int32(own), int32(w.command)
	w.polled[1].Fd = -1
	if h.head.terminal != noTerminal {
		w.polled[1].Fd = h.control.files[FileControl]
	}
	w.polled[0].Events, w.polled[1].Events = unix.POLLIN, unix.POLLIN
	unix.RawSyscall(unix.SYS_CLOSE, uintptr(h.conn), 0, 0)
	for i := range 3 {
		unix.RawSyscall(unix.SYS_CLOSE, uintptr(i), 0, 0)
	}
	for i := FileExecutable; i <= FileStderr; i++ {
		if h.control.files[i] > 2 {
			unix.RawSyscall(unix.SYS_CLOSE, uintptr(h.control.files[i]), 0, 0)
		}
	}
	for i := range h.head.opened {
		unix.RawSyscall(unix.SYS_CLOSE, uintptr(h.control.files[h.firstFile()+i]), 0, 0)
	}
	for {
		if h.look() {
			h.follow()
		}
		unix.RawSyscall6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&w.polled)), uintptr(len(w.polled)), 0, 0, 0, 0)
		h.pass()
		h.obey()
	}
}

// look sees whether the program has stopped, and reports whether it has ended.
//
//go:nosplit
//go:norace
func (h *helper) look() bool {
	w := &h.watch
	for {
		pid, _, errno := unix.RawSyscall6(unix.SYS_WAIT4, w.command, uintptr(unsafe.Pointer(&w.status)), unix.WNOHANG|unix.WUNTRACED, 0, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 {
			exit()
		}
		if pid == 0 {
			return false
		}
		if w.status&0xff != 0x7f {
			return true
		}
		h.stopped(byte(w.status >> 8))
	}
}

// stopped takes the terminal and says so.
//
//go:nosplit
//go:norace
func (h *helper) stopped(by byte) {
	w := &h.watch
	if h.head.terminal == noTerminal {
		return // nobody asks, and SIGCONT comes by the service
	}
	terminal := uintptr(h.control.files[FileTerminal])
	w.group = 0
	unix.RawSyscall(unix.SYS_IOCTL, terminal, unix.TIOCGPGRP, uintptr(unsafe.Pointer(&w.group)))
	if w.group > 0 && w.group != w.own {
		w.front = w.group
	}
	h.front(w.own)
	w.byte[0] = by
	unix.RawSyscall6(unix.SYS_SENDTO, uintptr(h.control.files[FileControl]), uintptr(unsafe.Pointer(&w.byte)), 1, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT, 0, 0)
}

// obey does what whoever has the terminal asks.
//
//go:nosplit
//go:norace
func (h *helper) obey() {
	w := &h.watch
	for w.polled[1].Fd >= 0 {
		n, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, uintptr(w.polled[1].Fd), uintptr(unsafe.Pointer(&w.byte)), 1, unix.MSG_DONTWAIT, 0, 0)
		if errno == unix.EAGAIN || errno == unix.EINTR {
			return
		}
		if errno != 0 || n == 0 {
			w.polled[1].Fd = -1 // they are gone; the service sees to the program
			return
		}
		switch w.byte[0] {
		case AskForeground:
			h.front(w.front)
			h.tell(uintptr(unix.SIGCONT))
		case AskBackground:
			h.front(w.own)
			h.tell(uintptr(unix.SIGCONT))
		case AskSuspend:
			h.tell(uintptr(unix.SIGTSTP))
		}
	}
}

// pass tells the program what the helper was told. What the kernel says on its
// own account is about the helper, but for the end of the terminal.
//
//go:nosplit
//go:norace
func (h *helper) pass() {
	w := &h.watch
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(w.polled[0].Fd), uintptr(unsafe.Pointer(&w.info)), unsafe.Sizeof(w.info))
		if errno != 0 || n != unsafe.Sizeof(w.info) {
			return
		}
		number := *(*uint32)(unsafe.Pointer(&w.info[0]))
		code := *(*int32)(unsafe.Pointer(&w.info[8]))
		if number == uint32(unix.SIGCHLD) || code > 0 && number != uint32(unix.SIGHUP) || code <= 0 && h.ownSender() {
			continue
		}
		h.tell(uintptr(number))
		if number == uint32(unix.SIGHUP) {
			h.tell(uintptr(unix.SIGCONT)) // a program that is stopped hears nothing
		}
	}
}

// ownSender reports whether the signal in info was sent by a process of the
// helper's own session: a command that signals its parent, "kill $PPID", does not
// get the signal back, as with sudo.
//
//go:nosplit
//go:norace
func (h *helper) ownSender() bool {
	sender := *(*int32)(unsafe.Pointer(&h.watch.info[12]))
	if sender <= 0 { // a process of another pid namespace, or none
		return false
	}
	session, _, errno := unix.RawSyscall(unix.SYS_GETSID, uintptr(sender), 0, 0)
	return errno == 0 && int32(session) == h.watch.own
}

//go:nosplit
//go:norace
func (h *helper) tell(number uintptr) {
	unix.RawSyscall(unix.SYS_KILL, -h.watch.command, number, 0)
}

// follow ends as the program has ended. It takes the terminal first: what the
// program left in the background is not hung up on when its session's leader
// ends. Then it closes it: whoever reads the other side, and waits for the end of
// the program's output, finds that now and not when this helper ends.
//
//go:nosplit
//go:norace
func (h *helper) follow() {
	w := &h.watch
	if h.head.terminal != noTerminal {
		h.front(w.own)
		unix.RawSyscall(unix.SYS_CLOSE, uintptr(h.control.files[FileTerminal]), 0, 0)
	}
	h.tellEnd() // before record: somebody waits for it
	h.record(endExited, w.status)
	status := uintptr(w.status >> 8 & 0xff)
	if by := uintptr(w.status & 0x7f); by != 0 {
		w.all &^= 1 << (by - 1)
		h.mask(&w.all)
		unix.RawSyscall(unix.SYS_KILL, uintptr(w.own), by, 0)
		status = 128 + by
	}
	for {
		unix.RawSyscall(unix.SYS_EXIT_GROUP, status, 0, 0)
	}
}
