//go:build linux

package held

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The functions in this file and in exec.go run in a process that was forked
// from a Go program and has only the forking thread, and of the runtime's memory
// nothing. As in package syscall's own fork, nothing here may need the runtime: no
// allocation, no growing of the stack, no scheduling. So every function is nosplit,
// memory was set aside before the fork, and system calls are raw.

// exitUnused is the status of a helper that ran nothing.
const exitUnused = 125

// usualSlack is how late timers of a process may be, in nanoseconds, where nobody has
// said otherwise (PR_SET_TIMERSLACK(2const)).
const usualSlack = 50_000

// helper is all the memory that a helper uses. Pages that a short spec does
// not reach are never touched.
type helper struct {
	conn int // its descriptor of the connection; the seed's has the same number
	ends int // the socket by which the service is told how programs end

	// The message lies here as it was received.
	head head
	body [MaxSpec]byte

	strings [MaxStrings + 2]*byte // argv, nil, environment, nil
	env     int                   // where the environment begins in strings
	script  *byte                 // nil for a binary

	header  unix.Msghdr
	vector  unix.Iovec
	control struct {
		unix.Cmsghdr
		files [maxFiles]int32
	}
	stat   unix.Stat_t
	pause  unix.Timespec
	turns  unix.SchedAttr // those of a program: as long as anybody's
	watch  watch
	asking asking
	own    [16 << 10]byte // the stack of seed.go's thread, and of who is forked there
	local  [16]uintptr    // what that thread has in place of the runtime's thread-local memory
	stack  [16 << 10]byte // the child's (watch.go)
	report [ReportSize]byte
	end    [2]uint32 // of end.go, as is
	told   told
	byte   byte
	empty  byte // the empty path

	loginFile [20]byte
	dumpFile  [32]byte
}

func (h *helper) prepare(conn, ends int) {
	h.conn, h.ends = conn, ends
	copy(h.loginFile[:], "/proc/self/loginuid")
	copy(h.dumpFile[:], "/proc/sys/fs/suid_dumpable")
	h.vector.Base = (*byte)(unsafe.Pointer(&h.head))
	h.header.Iov, h.header.Iovlen = &h.vector, 1
	h.turns.Size, h.turns.Policy = unix.SizeofSchedAttr, unix.SCHED_NORMAL
	h.header.Control = (*byte)(unsafe.Pointer(&h.control))
	h.asking.prepare()
}

// main is the helper. On its connection it gets one message, then one byte
// that releases it. Anything else, end of file first of all, ends it without
// a trace. It does not return.
//
//go:nosplit
//go:norace
func (h *helper) main() {
	unix.RawSyscall(unix.SYS_SETSID, 0, 0, 0)
	unix.RawSyscall(unix.SYS_DUP3, uintptr(h.asking.files[0]), uintptr(h.conn), unix.O_CLOEXEC)
	h.closeAsked()
	step, errno := StepSpec, syscall.Errno(0)
	if h.receive() && h.parse() {
		step, errno = h.settleDown()
		if errno == 0 && h.watch.command != 0 {
			onward(h, watching)
		}
		if errno == 0 {
			step, errno = h.become()
		}
	}
	h.fail(step, errno)
}

// fail says why the program could not be started, and ends.
//
//go:nosplit
//go:norace
func (h *helper) fail(step Step, errno syscall.Errno) {
	if step > StepSpec {
		h.record(endNotStarted, uint32(step)<<16|uint32(errno))
	}
	h.report[0] = byte(step)
	for i := range 4 {
		h.report[1+i] = byte(errno >> (24 - 8*i))
	}
	// The service may be gone; then nobody needs to know.
	unix.RawSyscall6(unix.SYS_SENDTO, uintptr(h.conn), uintptr(unsafe.Pointer(&h.report)), ReportSize, unix.MSG_NOSIGNAL, 0, 0)
	exit()
}

//go:nosplit
//go:norace
func exit() {
	for {
		unix.RawSyscall(unix.SYS_EXIT_GROUP, exitUnused, 0, 0)
	}
}

// receive reads a message and the descriptors that came with its first byte.
// End of file means that the service is gone, or has no use for this helper.
//
//go:nosplit
//go:norace
func (h *helper) receive() bool {
	h.vector.Len = uint64(headSize + len(h.body))
	h.header.Controllen = uint64(unsafe.Sizeof(h.control))
	var have uintptr
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, uintptr(h.conn), uintptr(unsafe.Pointer(&h.header)), unix.MSG_CMSG_CLOEXEC)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 || n == 0 {
			exit()
		}
		have = n
		break
	}
	if have < uintptr(headSize) || h.header.Flags&unix.MSG_CTRUNC != 0 || uintptr(h.head.size) > uintptr(len(h.body)) {
		return false
	}
	for have < uintptr(headSize)+uintptr(h.head.size) {
		rest := uintptr(headSize) + uintptr(h.head.size) - have
		n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(h.conn), uintptr(unsafe.Pointer(&h.head))+have, rest)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 || n == 0 {
			exit()
		}
		have += n
	}
	if h.head.terminal > background || h.head.outlives > 1 || h.head.opened > MaxOpened {
		return false
	}
	files := uint64(h.firstFile()) + uint64(h.head.opened)
	return have == uintptr(headSize)+uintptr(h.head.size) &&
		h.control.Level == unix.SOL_SOCKET && h.control.Type == unix.SCM_RIGHTS &&
		h.control.Len == uint64(unix.SizeofCmsghdr)+4*files
}

// firstFile is where among the descriptors those of arguments begin.
//
//go:nosplit
//go:norace
func (h *helper) firstFile() uint32 { return h.endFile() + h.head.outlives }

// endFile is where among the descriptors the directory for the program's end
// is, if there is one.
//
//go:nosplit
//go:norace
func (h *helper) endFile() uint32 {
	if h.head.terminal == noTerminal {
		return FileTerminal
	}
	return FileControl + 1
}

// parse points script and strings at what is in body.
//
//go:nosplit
//go:norace
func (h *helper) parse() bool {
	m := &h.head
	at := uint64(m.groups) * 4
	if m.argv == 0 || uint64(m.argv)+uint64(m.env) > MaxStrings || m.terminal > background || m.script > 1 {
		return false
	}
	h.script = nil
	if m.script == 1 {
		if h.script, at = h.text(at); h.script == nil {
			return false
		}
	}
	next := 0
	for _, count := range [2]uint32{m.argv, m.env} {
		h.env = next // when the loop ends
		for range count {
			if h.strings[next], at = h.text(at); h.strings[next] == nil {
				return false
			}
			next++
		}
		h.strings[next] = nil
		next++
	}
	return at == uint64(m.size)
}

// text returns the string that begins at an offset of body, nil if none ends
// there, and where the next begins.
//
//go:nosplit
//go:norace
func (h *helper) text(at uint64) (*byte, uint64) {
	size := uint64(h.head.size)
	for end := at; end < size; end++ {
		if h.body[end] == 0 {
			return &h.body[at], end + 1
		}
	}
	return nil, at
}

// settleDown places the program's descriptors and its terminal. With one, or
// where the program's end is to be kept, there are two processes afterwards
// (watch.go).
//
//go:nosplit
//go:norace
func (h *helper) settleDown() (Step, syscall.Errno) {
	files := &h.control.files
	for i := range 3 {
		if _, _, errno := unix.RawSyscall(unix.SYS_DUP3, uintptr(files[FileStdin+i]), uintptr(i), 0); errno != 0 {
			return StepDescriptors, errno
		}
	}
	if h.head.terminal != noTerminal {
		if _, _, errno := unix.RawSyscall(unix.SYS_IOCTL, uintptr(files[FileTerminal]), unix.TIOCSCTTY, 0); errno != 0 {
			return StepTerminal, errno
		}
	}
	if h.head.terminal != noTerminal || h.head.outlives == 1 {
		if errno := h.part(); errno != 0 {
			return StepWatch, errno
		}
	}
	return 0, 0
}

// become turns this process into the program and returns only if that is not
// possible.
//
//go:nosplit
//go:norace
func (h *helper) become() (Step, syscall.Errno) {
	// Attack: where fs.suid_dumpable is 1 the target user traces this process between
	// taking their ids and exec, takes this socket out of it, and says that other
	// people's programs have ended.
	unix.RawSyscall(unix.SYS_CLOSE, uintptr(h.ends), 0, 0)
	for i := range h.head.opened {
		from := h.control.files[h.firstFile()+i]
		if _, _, errno := unix.RawSyscall(unix.SYS_DUP3, uintptr(from), uintptr(firstOpened+i), 0); errno != 0 {
			return StepDescriptors, errno
		}
	}
	h.awaitRelease()
	// The service's own short turns and late timers (platform/turns) end here: what has
	// been on everybody's way is somebody's program from now on.
	unix.RawSyscall(unix.SYS_SCHED_SETATTR, 0, uintptr(unsafe.Pointer(&h.turns)), 0)
	unix.RawSyscall(unix.SYS_PRCTL, unix.PR_SET_TIMERSLACK, usualSlack, 0)
	if step, errno := h.assume(); errno != 0 {
		return step, errno
	}
	// As the target user: somebody's right to be in a directory is not lent to
	// another.
	if _, _, errno := unix.RawSyscall(unix.SYS_FCHDIR, uintptr(h.control.files[FileDir]), 0, 0); errno != 0 {
		return StepDir, errno
	}
	return h.exec()
}

// awaitRelease waits for the byte that lets the program run, or that says that
// nobody has use for it. End of file means that the service is gone; the next
// one is told that nothing has run.
//
//go:nosplit
//go:norace
func (h *helper) awaitRelease() {
	for {
		n, _, errno := unix.RawSyscall(unix.SYS_READ, uintptr(h.conn), uintptr(unsafe.Pointer(&h.byte)), 1)
		switch {
		case errno == 0 && n == 1 && h.byte == Go:
			return
		case errno == 0 && n == 1:
			exit()
		case errno != unix.EINTR:
			h.record(endNotReleased, 0)
			exit()
		}
	}
}

// login makes this process part of the login that it was asked for in, so that
// the kernel's audit names the person. Whether it may is the kernel's to say.
//
//go:nosplit
//go:norace
func (h *helper) login() {
	if h.head.digits == 0 || h.head.digits > maxDigits {
		return
	}
	cwd := unix.AT_FDCWD
	fd, _, errno := unix.RawSyscall6(unix.SYS_OPENAT, uintptr(cwd), uintptr(unsafe.Pointer(&h.loginFile)), unix.O_WRONLY|unix.O_CLOEXEC, 0, 0, 0)
	if errno != 0 {
		return
	}
	unix.RawSyscall(unix.SYS_WRITE, fd, uintptr(unsafe.Pointer(&h.head.login)), uintptr(h.head.digits))
	unix.RawSyscall(unix.SYS_CLOSE, fd, 0, 0)
}

// joinSessionKeyring is KEYCTL_JOIN_SESSION_KEYRING of keyctl(2).
const joinSessionKeyring = 1

// assume takes the target's groups and ids. Until here the helper is root, so
// the target user can neither signal, stop nor trace it while it waits.
//
// Attack: keys that a program leaves in the session's keyring are found by what
// the service or somebody else's program looks for there. So each has a keyring
// of its own, made while the target's quota does not count; where the kernel
// has none there is nothing to part.
//
//go:nosplit
//go:norace
func (h *helper) assume() (Step, syscall.Errno) {
	m := &h.head
	h.login()
	unix.RawSyscall(unix.SYS_KEYCTL, joinSessionKeyring, 0, 0)
	groups := uintptr(unsafe.Pointer(&h.body))
	if _, _, errno := unix.RawSyscall(unix.SYS_SETGROUPS, uintptr(m.groups), groups, 0); errno != 0 {
		return StepGroups, errno
	}
	gid, uid := uintptr(m.gid), uintptr(m.uid)
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESGID, gid, gid, gid); errno != 0 {
		return StepGroups, errno
	}
	if _, _, errno := unix.RawSyscall(unix.SYS_SETRESUID, uid, uid, uid); errno != 0 {
		return StepUser, errno
	}
	return 0, 0
}
