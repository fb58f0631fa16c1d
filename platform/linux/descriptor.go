//go:build linux

package linux

import (
	"fmt"
	"strconv"
	"syscall"

	"kpm/core"
	"kpm/platform/linux/file"
)

// onDescriptor, procFd and openat are those of package file.
func onDescriptor(f syscall.Conn, use func(fd int) error) error { return file.OnDescriptor(f, use) }

func procFd(fd int) string { return file.ProcFd(fd) }

func openat(dir int, name string, flags int, perm uint32) (int, error) {
	return file.OpenAt(dir, name, flags, perm)
}

// noID is (uid_t)-1, which is nobody.
const noID = 1<<32 - 1

// parseKernelID reads a decimal user or group id. 4294967295 means "leave
// unchanged" to the kernel and must never reach it (CVE-2018-19788,
// CVE-2019-14287).
func parseKernelID(s string) (uint32, error) {
	id, err := strconv.ParseUint(s, 10, 32)
	if err != nil || id == noID || strconv.FormatUint(id, 10) != s {
		return 0, fmt.Errorf("%q is not an id between 0 and %d: %w", s, uint32(noID-1), core.ErrNoAccount)
	}
	return uint32(id), nil
}
