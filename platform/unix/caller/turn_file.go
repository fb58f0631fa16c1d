//go:build linux || darwin

package caller

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// ownFile opens the file of this user by which their keepersudo take turns, in a
// folder where everybody may have files; -1 if there can be none.
//
// Attack: a stranger's file, which they could lock for ever, or a link to another
// file of ours, whose other locks would be lost when we close it. What is not ours
// alone is not taken.
func ownFile(folder string) int {
	path := folder + "/.keepersudo-" + strconv.Itoa(unix.Geteuid())
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CREAT|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return -1
	}
	var st unix.Stat_t
	if unix.Fstat(fd, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || int(st.Uid) != unix.Geteuid() || st.Mode&0o077 != 0 || st.Nlink != 1 {
		unix.Close(fd)
		return -1
	}
	return fd
}
