//go:build linux

// Command standin is keeperlaunch of macOS on Linux, with a stand-in for what
// macOS alone has: a process that is suspended before its first instruction.
package main

import (
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"kpm/platform/darwin/held"
	"kpm/platform/darwin/helper"
)

func main() {
	if len(os.Args) > 2 && os.Args[1] == suspended {
		waitSuspended()
	}
	helper.Main("", func() (helper.System, error) { return suspending{}, nil })
}

// suspending stands in for posix_spawn: the child becomes this program, which waits
// for SIGCONT and becomes the one that was meant.
type suspending struct{}

const suspended = "suspended" // argv[1] of the stand-in

func (suspending) BecomeMember(string, int) error { return unix.Setgroups(nil) }

func (suspending) BecomeSuspended(path string, argv, env []string, inherit []int) error {
	// What cannot be executed is seen by posix_spawn, and not by the stand-in.
	var head [2]byte
	if f, err := os.Open(path); err == nil {
		f.Read(head[:])
		f.Close()
	}
	if string(head[:]) != "#!" && string(head[:]) != "\x7fE" {
		return unix.ENOEXEC
	}
	for _, fd := range inherit {
		unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0)
	}
	var byDefault [4]uint64 // struct sigaction; SIG_DFL is 0
	for sig := uintptr(1); sig <= 64; sig++ {
		unix.RawSyscall6(unix.SYS_RT_SIGACTION, sig, uintptr(unsafe.Pointer(&byDefault)), 0, 8, 0, 0)
	}
	runtime.LockOSThread()
	unix.PthreadSigmask(unix.SIG_BLOCK, continued(), nil) // it waits until somebody looks
	return syscall.Exec("/proc/self/exe", append([]string{held.Name, suspended, path}, argv...), env)
}

// continued is the set of SIGCONT alone.
func continued() *unix.Sigset_t {
	return &unix.Sigset_t{Val: [16]uint64{1 << (unix.SIGCONT - 1)}}
}

func waitSuspended() {
	runtime.LockOSThread()
	for { // every thread has it blocked, so that it waits as well
		got, _, _ := unix.Syscall6(unix.SYS_RT_SIGTIMEDWAIT, uintptr(unsafe.Pointer(continued())), 0, 0, 8, 0, 0)
		if got == uintptr(unix.SIGCONT) {
			break
		}
	}
	unix.PthreadSigmask(unix.SIG_SETMASK, &unix.Sigset_t{}, nil)
	err := syscall.Exec(os.Args[2], os.Args[3:], os.Environ())
	fmt.Fprintln(os.Stderr, err)
	os.Exit(126)
}
