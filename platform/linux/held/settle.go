//go:build linux

package held

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// settle does, ahead of need, everything that does not depend on what the
// helper becomes: no program inherits a habit of the service.
func settle(conn, ends int) {
	takeName()
	// Attack: between taking the target's ids and exec, the target user traces
	// this process, or reads a root process's memory through /proc. The kernel
	// forbids it after a change of ids; this holds without one as well. Exec
	// makes a dumpable process again.
	unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	unix.Umask(0o22)
	unix.Setpriority(unix.PRIO_PROCESS, 0, 0)
	unix.CloseOnExec(conn)
	unix.CloseOnExec(ends)
	closeFrom(ends + 1)
	resetSignals()
	resetFileLimit()
	dropInherited()
	asFirstProcess("oom_score_adj")
	asFirstProcess("coredump_filter")
}

// takeName makes Name what this process and what it forks are called. Of this thread
// the helpers are born, and the first one is who the process is: on a busy machine
// the runtime may have moved this to another thread already.
func takeName() {
	name := [16]byte{}
	copy(name[:], Name)
	unix.Prctl(unix.PR_SET_NAME, uintptr(unsafe.Pointer(&name)), 0, 0, 0)
	first, err := unix.Open("/proc/self/comm", unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(first)
	unix.Write(first, name[:len(Name)])
}

// asFirstProcess gives this process, and what descends from it, what the machine's
// first process has in a file of /proc. The unit gives the service other values,
// which are for it alone: a program that eats all memory is the one to end, and
// what a program dumps is its owner's.
func asFirstProcess(name string) {
	var value [32]byte
	from, err := unix.Open("/proc/1/"+name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(from)
	n, err := unix.Read(from, value[:])
	if err != nil || n <= 0 {
		return
	}
	text := value[:n]
	if name == "coredump_filter" { // written by its base, and shown without
		text = append([]byte("0x"), text...)
	}
	into, err := unix.Open("/proc/self/"+name, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return
	}
	defer unix.Close(into)
	unix.Write(into, text) // a machine may not let it be set; then it is as it was
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
