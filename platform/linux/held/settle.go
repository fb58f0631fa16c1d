//go:build linux

package held

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// settle does, ahead of need, everything that does not depend on what the
// helper becomes: no program inherits a habit of the service.
func settle(conn int) {
	name := [16]byte{}
	copy(name[:], Name)
	unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&name)), 0, 0, 0)
	// Attack: between taking the target's ids and exec, the target user traces
	// this process, or reads a root process's memory through /proc. The kernel
	// forbids it after a change of ids; this holds without one as well. Exec
	// makes a dumpable process again.
	unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	unix.Umask(0o22)
	unix.Setpriority(unix.PRIO_PROCESS, 0, 0)
	unix.CloseOnExec(conn)
	closeFrom(conn + 1)
	resetSignals()
	resetFileLimit()
	dropInherited()
}

// closeFrom closes what the service had open without close-on-exec.
func closeFrom(first int) {
	if unix.CloseRange(uint(first), 1<<32-1, 0) == nil {
		return
	}
	var limit unix.Rlimit // kernels before 5.9
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil {
		syscall.Exit(exitUnused)
	}
	for fd := first; uint64(fd) < limit.Cur; fd++ {
		unix.Close(fd)
	}
}

// resetSignals gives every signal its default disposition and blocks none.
// Handlers would go with exec; what the service's own parent had ignored or
// blocked would stay (nohup, for one).
func resetSignals() {
	var byDefault [4]uint64 // struct sigaction of the kernel; SIG_DFL is 0
	for sig := uintptr(1); sig <= 64; sig++ {
		unix.RawSyscall6(unix.SYS_RT_SIGACTION, sig, uintptr(unsafe.Pointer(&byDefault)), 0, 8, 0, 0)
	}
	var none unix.Sigset_t
	unix.PthreadSigmask(unix.SIG_SETMASK, &none, nil)
}

// resetFileLimit undoes what the Go runtime did when this process started: it
// raised the soft limit of open files, which programs that use select(2) do
// not survive. Only syscall.Exec knows the original value; it restores it
// before it tries, and an empty path cannot be executed.
func resetFileLimit() {
	syscall.Exec("", []string{Name}, nil)
}

// dropInherited empties the inheritable and ambient capability sets. The
// service may have been given some; a program that is not root would keep them
// (CVE-2022-24769).
func dropInherited() {
	unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0)
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if unix.Capget(&header, &data[0]) == nil {
		data[0].Inheritable, data[1].Inheritable = 0, 0
		unix.Capset(&header, &data[0])
	}
}
