package caller

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// settle makes this process what keepersudo has to be.
func settle() {
	grow()
	// Attack: another process of the same user attaches to this one and takes
	// the master side of a root command's terminal.
	unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)
	ignoreAgain()
}

// random fills p from the kernel. Package crypto/rand is more than keepersudo
// needs.
func random(p []byte) error {
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
