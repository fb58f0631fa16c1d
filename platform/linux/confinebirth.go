//go:build linux

package linux

import (
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// A confined process is never root: what gives it privileges, and could give it
// some again, belongs to a thread, and a child has what the thread had that made
// it. So a thread of this process gives everything up, starts the child as
// another user, and ends.

// secureBits are those of linux/securebits.h, each with its lock: root's user id
// means nothing, capabilities go with a change of user, none becomes ambient.
const secureBits = 1<<0 | 1<<1 | // NOROOT
	1<<3 | // NO_SETUID_FIXUP stays off
	1<<5 | // KEEP_CAPS stays off
	1<<6 | 1<<7 // NO_CAP_AMBIENT_RAISE

// startUnprivileged is syscall.ForkExec for a process of user and group id that
// has no capability, can get none, and is in no other group.
//
// Until its exec the child shares this process's memory, so that with its user
// the kernel makes that memory untraceable and undumpable for good: both
// processes'.
func startUnprivileged(program string, argv []string, attr *syscall.ProcAttr, id uint32) (pid int, err error) {
	attr.Sys.Credential = &syscall.Credential{Uid: id, Gid: id}
	onThreadThatEnds(func() {
		if err = giveUp(); err == nil {
			pid, err = syscall.ForkExec(program, argv, attr)
		}
	})
	return pid, err
}

// onThreadThatEnds calls use on a thread that nothing else runs on any more, and
// waits for it. The main thread is left alone: it cannot end.
func onThreadThatEnds(use func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if unix.Gettid() == os.Getpid() {
			onThreadThatEnds(use)
			runtime.UnlockOSThread()
			return
		}
		use() // locked to the end: the runtime ends the thread with the goroutine
	}()
	<-done
}

// giveUp takes from the calling thread everything by which it, or what it
// starts, could get a privilege. It keeps what it needs to change its user.
func giveUp() error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("give up new privileges: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_SECUREBITS, secureBits, 0, 0, 0); err != nil {
		return fmt.Errorf("set secure bits: %w", err)
	}
	// Until the first capability that this kernel does not know.
	for capability := uintptr(0); ; capability++ {
		err := unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0)
		if err == unix.EINVAL && capability > 0 {
			break
		}
		if err != nil {
			return fmt.Errorf("drop capability %d: %w", capability, err)
		}
	}
	// What the service was given to inherit would stay (CVE-2022-24769).
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("clear ambient capabilities: %w", err)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	data[0].Inheritable, data[1].Inheritable = 0, 0
	if err := unix.Capset(&header, &data[0]); err != nil {
		return fmt.Errorf("inherit no capabilities: %w", err)
	}
	return nil
}
