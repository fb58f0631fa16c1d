package caller

import (
	"unsafe"

	"golang.org/x/sys/unix"

	"kpm/platform/linux/early"
)

// settle makes this process what keepersudo has to be.
func settle() {
	grow()
	// Attack: another process of the same user attaches to this one and takes
	// the master side of a root command's terminal.
	unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	ignoreAgain()
}

// asStarted has the next program begin as this one was started, and returns its
// environment.
func asStarted() []string { return early.AsStarted() }

// random fills p, which becomes the key of the request, from the kernel. Package
// crypto/rand is more than keepersudo needs.
func random(p []byte) error {
	if key, sent := early.Key(); sent {
		copy(p, key[:])
		return nil
	}
	for len(p) > 0 {
		// Not unix.Getrandom, which sets memory aside for many calls to come.
		n, _, errno := unix.RawSyscall(unix.SYS_GETRANDOM, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), 0)
		if errno != 0 && errno != unix.EINTR {
			return errno
		}
		if errno == 0 {
			p = p[n:]
		}
	}
	return nil
}
