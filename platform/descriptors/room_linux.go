package descriptors

import "golang.org/x/sys/unix"

// Room has this process's table of open files become large enough for n of them, or for
// as many as it may have. If the system refuses, the table grows when it has to. It
// returns when the table has grown, which takes up to some 40 ms.
//
// Linux begins with room for 64. Whoever opens a file for which there is none waits until
// the table has grown, and so do all others who open one meanwhile. In a process of
// several threads that is until every processor of the machine has come by, since each may
// be looking at the old table (expand_fdtable in the kernel's fs/file.c). A table never
// becomes smaller.
func Room(n int) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return
	}
	// The copy gets the lowest free number from the last one on.
	last := min(uint64(n), limit.Cur) - 1
	if fd, err := unix.FcntlInt(0, unix.F_DUPFD_CLOEXEC, int(last)); err == nil {
		_ = unix.Close(fd)
	}
}
