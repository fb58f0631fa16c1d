//go:build linux

// Command reader is keeperreader of macOS on Linux, with a stand-in for the sandbox
// that macOS alone has: a filter that refuses to open files. It is what its file is
// called: "reader", or one of those that must not be used.
package main

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"kpm/core/port"
	"kpm/platform/darwin/confined"
	"kpm/trust/reader"
	"kpm/trust/reader/judge"
)

func main() {
	self, err := os.Executable()
	if err != nil {
		os.Exit(1)
	}
	is := filepath.Base(self)
	if is == "liar" { // says that it is confined
		unix.Write(3, []byte{0})
		time.Sleep(time.Hour)
	}
	confined.Main(serve, func() (confined.System, error) {
		if is == "lost" {
			return nil, errors.New("there is no such function")
		}
		return sandbox(is), nil
	})
}

func serve(service port.Confinement) error {
	return reader.Serve(service, func(b *reader.Bundle, now func() time.Time) (reader.Judge, error) {
		return judge.New(b, now)
	})
}

type sandbox string

// EndAt implements confined.System: the kernel's default is to end it
// (rt_sigaction(2), whose structure is all zeroes for that).
func (s sandbox) EndAt(signal unix.Signal) error {
	if s == "endless" {
		return errors.New("signal: invalid argument")
	}
	var byDefault [4]uint64
	_, _, errno := unix.RawSyscall6(unix.SYS_RT_SIGACTION, uintptr(signal), uintptr(unsafe.Pointer(&byDefault)), 0, 8, 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// EnterSandbox implements confined.System.
func (s sandbox) EnterSandbox() error {
	switch s {
	case "refused":
		return errors.New("sandbox_init: no such profile")
	case "unsandboxed":
		return nil
	}
	return refuseOpen()
}

// refuseOpen has every openat answered with EPERM, for all threads
// (linux/seccomp.h, linux/filter.h).
func refuseOpen() error {
	code := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the call's number
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: unix.SYS_OPENAT},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.EPERM)},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
	}
	program := unix.SockFprog{Len: uint16(len(code)), Filter: &code[0]}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return errno
	}
	return nil
}
