//go:build linux

package held

import (
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// asking is the memory for one request to the seed.
type asking struct {
	header  unix.Msghdr
	vector  unix.Iovec
	byte    byte
	control struct {
		unix.Cmsghdr
		files [2]int32
	}
	files [2]int32 // the helper's connection, and its cgroup or -1
	args  cloneArgs
	reply [2]uint32 // pid and errno
}

// cloneArgs is struct clone_args of the kernel, up to its cgroup field.
type cloneArgs struct {
	flags uint64
	_     [9]uint64
	group uint64
}

func (a *asking) prepare() {
	a.vector.Base, a.vector.Len = &a.byte, 1
	a.header.Iov, a.header.Iovlen = &a.vector, 1
	a.header.Control = (*byte)(unsafe.Pointer(&a.control))
}

// set sets aside what the seed and its helpers use of memory, and sees to it that a
// fork copies nothing else: the kernel would have to copy the tables of the runtime's
// memory for each helper, and to undo that when it ends.
func set(conn, ends int) (*helper, error) {
	at, err := unix.MmapPtr(-1, 0, nil, unsafe.Sizeof(helper{}), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return nil, err
	}
	h := (*helper)(at)
	h.prepare(conn, ends)
	for _, m := range runtimeMemory(readMaps(), uintptr(at)) {
		// Where it does not work, a fork takes longer.
		unix.RawSyscall(unix.SYS_MADVISE, m[0], m[1]-m[0], unix.MADV_DONTFORK)
	}
	return h, nil
}

// runtimeMemory returns the bounds of the mappings in maps (proc_pid_maps(5)) that are
// neither the program's, its variables included, nor the one that keep points into, nor
// the kernel's own: its name for the stack is where process lists find argv. Where the
// kernel keeps names for them, the runtime's have some ("[anon: Go: heap]").
func runtimeMemory(maps string, keep uintptr) [][2]uintptr {
	var all [][2]uintptr
	var program uintptr // where the program's last mapping ends
	for line := range strings.Lines(maps) {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		from, to, _ := strings.Cut(fields[0], "-")
		start, err := strconv.ParseUint(from, 16, strconv.IntSize)
		end, failed := strconv.ParseUint(to, 16, strconv.IntSize)
		m := [2]uintptr{uintptr(start), uintptr(end)}
		switch {
		case err != nil || failed != nil:
		case fields[4] != "0", m[0] == program:
			program = m[1]
		case (len(fields) == 5 || fields[5] == "[anon:") && (keep < m[0] || keep >= m[1]):
			all = append(all, m)
		}
	}
	return all
}

// readMaps returns what /proc/self/maps says, empty if it cannot be read.
func readMaps() string {
	fd, err := unix.Open("/proc/self/maps", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer unix.Close(fd)
	var all []byte
	for {
		var b [4096]byte
		n, err := unix.Read(fd, b[:])
		if err != nil || n == 0 {
			return string(all)
		}
		all = append(all, b[:n]...)
	}
}

// start has a thread of the process make helpers, on a stack of its own, and returns
// its id, or an errno as split does.
//
// It is not the runtime's. Whoever waits in a system call of a thread of the runtime
// has that wake another one when the call returns, each fork makes both write to
// memory that the helper has as well, which the kernel then copies, and what is
// allocated to hear a request is never given back (Environ). This one waits, forks,
// and does nothing else.
func (h *helper) start() (tid uintptr) {
	const flags = unix.CLONE_VM | unix.CLONE_FS | unix.CLONE_FILES | unix.CLONE_SIGHAND | unix.CLONE_THREAD | unix.CLONE_SYSVSEM | unix.CLONE_SETTLS
	top := uintptr(unsafe.Pointer(&h.own)) + unsafe.Sizeof(h.own)
	// What assembler calls in Go loads a word from beside it, and does not use it.
	return split(flags, top&^15-stackRoom, uintptr(unsafe.Pointer(&h.local[len(h.local)/2])), h, seed)
}

// serve makes helpers until the service closes the connection.
//
//go:nosplit
//go:norace
func (h *helper) serve() {
	for h.hear() {
		h.fork()
		h.closeAsked()
		unix.RawSyscall6(unix.SYS_SENDTO, uintptr(h.conn), uintptr(unsafe.Pointer(&h.asking.reply)), ReplySize, unix.MSG_NOSIGNAL, 0, 0)
	}
	for {
		unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
	}
}

// hear waits for a request and keeps its one or two descriptors.
//
//go:nosplit
//go:norace
func (h *helper) hear() bool {
	a := &h.asking
	for {
		a.header.Controllen = uint64(unsafe.Sizeof(a.control))
		n, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, uintptr(h.conn), uintptr(unsafe.Pointer(&a.header)), unix.MSG_CMSG_CLOEXEC)
		if errno == unix.EINTR {
			continue
		}
		if errno != 0 || n == 0 || a.header.Flags&unix.MSG_CTRUNC != 0 ||
			a.header.Controllen < unix.SizeofCmsghdr || a.control.Level != unix.SOL_SOCKET || a.control.Type != unix.SCM_RIGHTS {
			return false
		}
		a.files[0], a.files[1] = a.control.files[0], -1
		switch a.control.Len {
		case unix.SizeofCmsghdr + 4:
			return true
		case unix.SizeofCmsghdr + 8:
			a.files[1] = a.control.files[1]
			return true
		}
		return false
	}
}

// closeAsked closes what came with the request.
//
//go:nosplit
//go:norace
func (h *helper) closeAsked() {
	unix.RawSyscall(unix.SYS_CLOSE, uintptr(h.asking.files[0]), 0, 0)
	if h.asking.files[1] >= 0 {
		unix.RawSyscall(unix.SYS_CLOSE, uintptr(h.asking.files[1]), 0, 0)
	}
}

// fork makes a helper of what was asked for. It is a child of the service, not of the
// seed.
//
//go:nosplit
//go:norace
func (h *helper) fork() {
	a := &h.asking
	var pid uintptr
	var errno syscall.Errno
	if a.files[1] < 0 {
		pid, _, errno = unix.RawSyscall6(unix.SYS_CLONE, unix.CLONE_PARENT|uintptr(unix.SIGCHLD), 0, 0, 0, 0, 0)
	} else {
		a.args.flags, a.args.group = unix.CLONE_PARENT|unix.CLONE_INTO_CGROUP, uint64(a.files[1])
		pid, _, errno = unix.RawSyscall(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&a.args)), unsafe.Sizeof(a.args), 0)
	}
	if errno == 0 && pid == 0 {
		onward(h, asked)
	}
	a.reply[0], a.reply[1] = uint32(pid), uint32(errno)
}
