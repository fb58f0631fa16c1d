//go:build linux

package linux

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
)

// remedies are what the person can do about an answer of the kernel's to a step of
// a launch (execve(2), clone(2), chdir(2)).
var remedies = map[syscall.Errno]string{
	unix.EACCES:  "the account may not use it, or it lies on a file system that is mounted noexec",
	unix.ENOENT:  "it is gone, or what it names as its interpreter or loader is not there",
	unix.ENOEXEC: "it is no program for this machine; name its interpreter if it is a script",
	unix.ETXTBSY: "somebody is writing to it; try again when that is done",
	unix.EAGAIN:  "there are as many processes as there may be; end some",
	unix.ENOMEM:  "the machine has no memory for another process; end some",
	unix.EMFILE:  "the service has as many files open as it may; try again when commands have ended",
	unix.ENFILE:  "the machine has as many files open as it may; end some programs",
	unix.ENOSPC:  "the machine has as many control groups or other such things as it may; end some commands",
	unix.ENOTDIR: "it is no directory; go to another one",
}

// explain adds what can be done.
func explain(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		if remedy, ok := remedies[errno]; ok {
			return fmt.Errorf("%w (%s)", err, remedy)
		}
	}
	return err
}
