//go:build linux

// Command attempts is a confined process that somebody has taken over: it tries
// what it is told and answers how that ended.
package main

import (
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"kpm/core/port"
	"kpm/platform/linux/confined"
)

func main() { confined.Main(serve) }

func serve(service port.Confinement) error {
	for {
		var name [64]byte
		n, file, err := service.Receive(name[:])
		if err != nil {
			return err
		}
		answer := "no such attempt"
		if attempt, ok := attempts[string(name[:n])]; ok {
			answer = "done"
			if err := attempt(); err != nil {
				answer = err.Error()
			}
		}
		if file != nil {
			file.Close()
		}
		if _, err := service.Write([]byte(answer)); err != nil {
			return err
		}
	}
}

// handed is the number that the next file gets: one above the runtime's own.
func handed() int {
	next, err := unix.Dup(confined.Conn)
	if err == nil {
		return next
	}
	for fd := confined.Conn + 1; fd < 16; fd++ { // dup is refused: the highest that can be read
		if _, err := unix.Pread(fd, make([]byte, 1), 0); err == nil {
			return fd
		}
	}
	return -1
}

func raw(number uintptr, args ...uintptr) error {
	var a [6]uintptr
	copy(a[:], args)
	if _, _, errno := syscall.RawSyscall6(number, a[0], a[1], a[2], a[3], a[4], a[5]); errno != 0 {
		return errno
	}
	return nil
}

func text(s string) uintptr {
	b := append([]byte(s), 0)
	return uintptr(unsafe.Pointer(&b[0]))
}

const here = ^uintptr(99) // AT_FDCWD

var buffer [64]byte

var attempts = map[string]func() error{
	"open": func() error { return raw(unix.SYS_OPENAT, here, text("/etc/passwd"), unix.O_RDONLY) },
	"open again": func() error {
		return raw(unix.SYS_OPENAT, here, text(fmt.Sprint("/proc/self/fd/", handed())), unix.O_RDONLY)
	},
	"openat2":     func() error { return raw(unix.SYS_OPENAT2, here, text("/"), text(string(buffer[:24])), 24) },
	"list":        func() error { return raw(unix.SYS_GETDENTS64, 0, uintptr(unsafe.Pointer(&buffer)), 64) },
	"stat":        func() error { _, err := os.Stat("/etc/passwd"); return unwrap(err) },
	"socket":      func() error { return raw(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM) },
	"unix socket": func() error { return raw(unix.SYS_SOCKET, unix.AF_UNIX, unix.SOCK_STREAM) },
	"socketpair": func() error {
		return raw(unix.SYS_SOCKETPAIR, unix.AF_UNIX, unix.SOCK_STREAM, 0, uintptr(unsafe.Pointer(&buffer)))
	},
	"sendmsg":  func() error { return raw(unix.SYS_SENDMSG, confined.Conn, uintptr(unsafe.Pointer(&buffer))) },
	"exec":     func() error { return raw(unix.SYS_EXECVE, text("/bin/true"), 0, 0) },
	"execveat": func() error { return raw(unix.SYS_EXECVEAT, uintptr(handed()), text(""), 0, 0, unix.AT_EMPTY_PATH) },
	"fork":     func() error { return raw(unix.SYS_CLONE, uintptr(unix.SIGCHLD)) },
	"vfork":    func() error { return raw(unix.SYS_CLONE, unix.CLONE_VM|unix.CLONE_VFORK|uintptr(unix.SIGCHLD)) },
	"new namespaces": func() error {
		return raw(unix.SYS_CLONE, unix.CLONE_NEWUSER|unix.CLONE_THREAD|unix.CLONE_VM|unix.CLONE_SIGHAND)
	},
	"clone3":          func() error { return raw(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&buffer)), 64) },
	"unshare":         func() error { return raw(unix.SYS_UNSHARE, unix.CLONE_NEWUSER) },
	"signal":          func() error { return raw(unix.SYS_KILL, 1, 0) },
	"signal a thread": func() error { return raw(unix.SYS_TGKILL, 1, 1, 0) },
	"pidfd":           func() error { return raw(unix.SYS_PIDFD_OPEN, 1, 0) },
	"trace":           func() error { return raw(unix.SYS_PTRACE, unix.PTRACE_ATTACH, 1) },
	"read memory":     func() error { return raw(unix.SYS_PROCESS_VM_READV, 1, 0, 0, 0, 0) },
	"become root":     func() error { return raw(unix.SYS_SETUID, 0) },
	"capabilities":    func() error { return raw(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&buffer)), 0) },
	"prctl":           func() error { return raw(unix.SYS_PRCTL, unix.PR_SET_DUMPABLE, 1) },
	"limits":          func() error { return raw(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_DATA, 0, uintptr(unsafe.Pointer(&buffer))) },
	"another filter":  func() error { return raw(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, 0, 0) },
	"keys":            func() error { return raw(unix.SYS_KEYCTL, 0, 0) },
	"bpf":             func() error { return raw(unix.SYS_BPF, 0, 0, 0) },
	"io_uring":        func() error { return raw(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&buffer))) },
	"userfaultfd":     func() error { return raw(unix.SYS_USERFAULTFD, 0) },
	"memory file":     func() error { return raw(unix.SYS_MEMFD_CREATE, text("x"), 0) },
	"ioctl": func() error {
		return raw(unix.SYS_IOCTL, uintptr(handed()), unix.TIOCSTI, uintptr(unsafe.Pointer(&buffer)))
	},
	"fcntl":            func() error { return raw(unix.SYS_FCNTL, uintptr(handed()), unix.F_SETFL, unix.O_NONBLOCK) },
	"lock":             func() error { return raw(unix.SYS_FLOCK, uintptr(handed()), unix.LOCK_EX|unix.LOCK_NB) },
	"seek":             func() error { return raw(unix.SYS_LSEEK, uintptr(handed()), 1, 0) },
	"read and move on": func() error { return raw(unix.SYS_READ, uintptr(handed()), uintptr(unsafe.Pointer(&buffer)), 1) },
	"write":            func() error { return raw(unix.SYS_WRITE, uintptr(handed()), uintptr(unsafe.Pointer(&buffer)), 1) },
	"write at":         func() error { return raw(unix.SYS_PWRITE64, uintptr(handed()), uintptr(unsafe.Pointer(&buffer)), 1, 0) },
	"truncate":         func() error { return raw(unix.SYS_FTRUNCATE, uintptr(handed()), 0) },
	"chmod":            func() error { return raw(unix.SYS_FCHMOD, uintptr(handed()), 0o777) },
	"attribute":        func() error { return raw(unix.SYS_FGETXATTR, uintptr(handed()), text("user.x"), 0, 0) },
	"new code": func() error {
		return raw(unix.SYS_MMAP, 0, 4096, unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS, ^uintptr(0), 0)
	},
	"make code": func() error {
		return raw(unix.SYS_MPROTECT, uintptr(unsafe.Pointer(&buffer))&^4095, 4096, unix.PROT_EXEC)
	},
	"shared memory": func() error {
		return raw(unix.SYS_MMAP, 0, 4096, unix.PROT_READ, unix.MAP_SHARED|unix.MAP_ANONYMOUS, ^uintptr(0), 0)
	},
	"growing stack": func() error {
		return raw(unix.SYS_MMAP, 0, 4096, unix.PROT_READ, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_GROWSDOWN, ^uintptr(0), 0)
	},
	"map the file": func() error {
		return raw(unix.SYS_MMAP, 0, 4096, unix.PROT_READ, unix.MAP_PRIVATE, uintptr(handed()), 0)
	},

	// What it may.
	"read the file": func() error { return raw(unix.SYS_PREAD64, uintptr(handed()), uintptr(unsafe.Pointer(&buffer)), 1, 0) },
	"threads":       threads,
	"wait":          func() error { time.Sleep(time.Millisecond); return nil },
	"collect":       func() error { runtime.GC(); return nil },

	// What ends it.
	"all memory": func() error {
		for hoard := [][]byte(nil); ; {
			block := make([]byte, 16<<20)
			for i := 0; i < len(block); i += 4096 {
				block[i] = 1
			}
			hoard = append(hoard, block)
		}
	},
	"all processor time": func() error {
		for {
		}
	},
}

// threads has the runtime make more threads than there are.
func threads() error {
	var all sync.WaitGroup
	hold := make(chan struct{})
	for range 12 {
		ready := make(chan struct{})
		all.Go(func() {
			runtime.LockOSThread()
			close(ready)
			<-hold
		})
		<-ready
	}
	close(hold)
	all.Wait()
	return nil
}

func unwrap(err error) error {
	if path, ok := err.(*os.PathError); ok {
		return path.Err
	}
	return err
}
