//go:build linux

package held

import (
	"bytes"

	"golang.org/x/sys/unix"
)

// Explained shows a person who has started the seed what it is for, and reports
// whether one has: the service gives it no arguments. Package os would know, but
// helpers that wait cost memory.
func Explained(help string) bool {
	var line [64]byte
	fd, err := unix.Open("/proc/self/cmdline", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	n, _ := unix.Read(fd, line[:])
	unix.Close(fd)
	if bytes.Count(line[:max(0, n)], []byte{0}) < 2 {
		return false
	}
	unix.Write(unix.Stdout, []byte(help))
	return true
}
