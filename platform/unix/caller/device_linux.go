package caller

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// deviceOf returns the device of a terminal, also where it was opened as
// /dev/tty.
func deviceOf(fd int) (uint32, bool) {
	device, err := unix.IoctlGetUint32(fd, unix.TIOCGDEV)
	return device, err == nil && isTerminal(fd)
}

// openTerminal opens the terminal of that device by its own name, -1 if it
// cannot. The slaves of pseudo terminals are numbered by device number; others
// have names of all kinds.
func openTerminal(device uint32) int {
	major, minor := unix.Major(uint64(device)), unix.Minor(uint64(device))
	if major < 136 || major > 143 {
		return -1
	}
	path := "/dev/pts/" + strconv.Itoa(int(major-136)<<20+int(minor))
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	if found, ok := deviceOf(fd); !ok || found != device {
		unix.Close(fd)
		return -1
	}
	return fd
}

// isShared reports whether fd was opened as /dev/tty.
func isShared(fd int) bool {
	var st unix.Stat_t
	return unix.Fstat(fd, &st) != nil || unix.Major(st.Rdev) == 5 && unix.Minor(st.Rdev) == 0
}
