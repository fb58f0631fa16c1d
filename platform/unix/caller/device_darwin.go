package caller

import (
	"os"

	"golang.org/x/sys/unix"
)

// ownDevice is the controlling terminal of this process, by the process table:
// /dev/tty has a number of its own.
func ownDevice() uint32 {
	info, err := unix.SysctlKinfoProc("kern.proc.pid", os.Getpid())
	if err != nil {
		return 0
	}
	return uint32(info.Eproc.Tdev)
}

// deviceOf returns the device of a terminal, also where it was opened as
// /dev/tty.
func deviceOf(fd int) (uint32, bool) {
	if !isTerminal(fd) {
		return 0, false
	}
	var st, shared unix.Stat_t
	if unix.Fstat(fd, &st) != nil {
		return 0, false
	}
	if unix.Stat("/dev/tty", &shared) == nil && st.Rdev == shared.Rdev {
		return ownDevice(), true
	}
	return uint32(st.Rdev), true
}
