//go:build linux

package confined

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// Bounds of a process.
const (
	// MaxData is what it can have of memory, in bytes (RLIMIT_DATA). A reader of
	// signatures takes a few megabytes, some hundred for the worst file.
	MaxData = 512 << 20
	// maxAddresses bounds what it can ask for without using it, and so the
	// kernel's tables about that (RLIMIT_AS), in bytes.
	maxAddresses = 4 << 30
	// MaxCPU is its whole processor time, in seconds: a process that works for
	// a service that has been killed ends by itself.
	MaxCPU     = 120
	maxFiles   = 16
	maxThreads = 32
)

// limits are all limits that count for such a process. Each is soft and hard.
var limits = []struct {
	resource int
	most     uint64
}{
	{unix.RLIMIT_DATA, MaxData},
	{unix.RLIMIT_AS, maxAddresses},
	{unix.RLIMIT_CPU, MaxCPU},
	{unix.RLIMIT_NOFILE, maxFiles},
	{unix.RLIMIT_NPROC, maxThreads},
	{unix.RLIMIT_FSIZE, 0},
	{unix.RLIMIT_CORE, 0}, // the file that it reads may be private
	{unix.RLIMIT_MEMLOCK, 0},
	{unix.RLIMIT_MSGQUEUE, 0},
}

// confine gives up what the process was not born without: package linux starts
// it as the user that it is, with nothing to gain privileges by.
func confine() error {
	for _, step := range []struct {
		what string
		do   func() error
	}{
		// When memory is short it goes first, and not the service.
		{"be the first to go when memory is short", func() error { return os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0) }},
		{"take its name", func() error { return os.WriteFile("/proc/self/comm", []byte(Name), 0) }},
		{"close what it inherited", closeInherited},
		{"limit itself", setLimits},
		// Attack: another process traces it, or reads the file that it was
		// handed through /proc.
		{"become untraceable", func() error { return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }},
		{"install the system call filter", installFilter},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %w", step.what, err)
		}
	}
	return nil
}

// closeInherited closes what the service had open without close-on-exec: what its
// own parent left open. The runtime's own two descriptors stay, and any of their
// kind, of which the filter lets nobody read.
func closeInherited() error {
	const dir = "/proc/self/fd/"
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		fd, err := strconv.Atoi(entry.Name())
		if err != nil || fd <= Conn {
			continue
		}
		leads, err := os.Readlink(dir + entry.Name())
		if err != nil || leads == "anon_inode:[eventpoll]" || leads == "anon_inode:[eventfd]" {
			continue // one that cannot be looked at was that of the directory
		}
		if err := unix.Close(fd); err != nil {
			return err
		}
	}
	return nil
}

func setLimits() error {
	for _, l := range limits {
		if err := unix.Setrlimit(l.resource, &unix.Rlimit{Cur: l.most, Max: l.most}); err != nil {
			return fmt.Errorf("%d to %d: %w", l.resource, l.most, err)
		}
	}
	return nil
}
