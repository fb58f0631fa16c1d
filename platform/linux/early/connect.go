//go:build linux

package early

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// address is struct sockaddr_un.
type address struct {
	family uint16
	path   [108]byte
}

// control is what descriptors travel in.
type control struct {
	unix.Cmsghdr
	files [6]int32
}

// connect connects to the service of the agent at root, under the conditions of package
// platform/unix/caller: nobody but root can put another directory, or another socket, in
// its place. It reports whether there is a connection; why there is none is for the
// runtime to find out and to say.
//
//go:nosplit
//go:norace
func (s *stage) connect(root *byte) bool {
	dir, errno := openAt(root, unix.O_PATH|unix.O_DIRECTORY)
	if errno != 0 {
		return false
	}
	at := s.name(dir)
	connected := s.trusted() && s.isDoor(dir) && s.reach(at)
	closeFile(dir)
	return connected
}

// name writes the name of a descriptor into address, and returns where it ends.
//
//go:nosplit
//go:norace
func (s *stage) name(fd int) int {
	a := &s.address
	a.family = unix.AF_UNIX
	n := 0
	for n < len(descriptors) {
		a.path[n] = descriptors[n]
		n++
	}
	digit := 1
	for fd/digit >= 10 {
		digit *= 10
	}
	for ; digit > 0; digit /= 10 {
		a.path[n] = '0' + byte(fd/digit%10)
		n++
	}
	a.path[n] = 0
	return n
}

// trusted reports whether nobody but root can put another directory in the place of the
// one that address names. Above it, sticky directories of root are safe.
//
//go:nosplit
//go:norace
func (s *stage) trusted() bool {
	cwd := unix.AT_FDCWD
	read, _, errno := unix.RawSyscall6(unix.SYS_READLINKAT, uintptr(cwd), uintptr(unsafe.Pointer(&s.address.path)), uintptr(unsafe.Pointer(&s.path)), uintptr(len(s.path)-1), 0, 0)
	n := int(read)
	if errno != 0 || n < 1 || n >= len(s.path) || s.path[0] != '/' {
		return false
	}
	for top := true; ; top = false {
		s.path[n] = 0
		if !s.look(cwd, &s.path[0]) {
			return false
		}
		mode := s.st.Mode
		if mode&unix.S_IFMT != unix.S_IFDIR || s.st.Uid != 0 || mode&0o022 != 0 && (top || mode&unix.S_ISVTX == 0) {
			return false
		}
		if n == 1 {
			return true
		}
		for n--; n > 0 && s.path[n] != '/'; n-- {
		}
		n = max(1, n)
	}
}

// isDoor reports whether the service's socket is one, and root's.
//
// Attack: another user listens there and asks the caller for secrets.
//
//go:nosplit
//go:norace
func (s *stage) isDoor(dir int) bool {
	return s.look(dir, text(doorPath)) && s.st.Mode&unix.S_IFMT == unix.S_IFSOCK && s.st.Uid == 0
}

// look finds out what a file is, and follows no link.
//
//go:nosplit
//go:norace
func (s *stage) look(dir int, path *byte) bool {
	const wanted = unix.STATX_TYPE | unix.STATX_MODE | unix.STATX_UID
	_, _, errno := unix.RawSyscall6(unix.SYS_STATX, uintptr(dir), uintptr(unsafe.Pointer(path)), unix.AT_SYMLINK_NOFOLLOW, wanted, uintptr(unsafe.Pointer(&s.st)), 0)
	return errno == 0 && s.st.Mask&wanted == wanted
}

// reach connects to the socket below what address names, whose name ends at at: what was
// checked is what is used.
//
//go:nosplit
//go:norace
func (s *stage) reach(at int) bool {
	fd, _, errno := unix.RawSyscall(unix.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if errno != 0 {
		return false
	}
	s.conn = int(fd)
	s.address.path[at] = '/'
	for i := range len(doorPath) {
		s.address.path[at+1+i] = doorPath[i]
	}
	size := 2 + at + 1 + len(doorPath)
	if _, _, errno = unix.RawSyscall(unix.SYS_CONNECT, fd, uintptr(unsafe.Pointer(&s.address)), uintptr(size)); errno != 0 {
		closeFile(s.conn)
		return false
	}
	return true
}

// send sends the request and what travels with it. From here on the runtime
// does not send it again: if it has not arrived, the service's silence says so.
//
//go:nosplit
//go:norace
func (s *stage) send(directory, program int) {
	w := &s.request
	c := &s.control
	c.Level, c.Type = unix.SOL_SOCKET, unix.SCM_RIGHTS
	c.files[0], c.files[1], c.files[2], c.files[3], c.files[4] = int32(directory), 0, 1, 2, int32(program)
	files := uint64(4)
	if w.hasPath {
		files = 5
	}
	c.Len = uint64(unix.SizeofCmsghdr) + 4*files
	vector := unix.Iovec{Base: &w.frame[0], Len: uint64(w.n)}
	message := unix.Msghdr{Iov: &vector, Iovlen: 1, Control: (*byte)(unsafe.Pointer(c)), Controllen: c.Len}
	unix.RawSyscall(unix.SYS_SENDMSG, uintptr(s.conn), uintptr(unsafe.Pointer(&message)), unix.MSG_NOSIGNAL)
	s.sent = true
}
