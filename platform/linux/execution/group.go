//go:build linux

package execution

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"kpm/core/port"
)

// Group is a fanotify group: the marks and what they stop.
type Group struct {
	file *os.File // polled by the runtime, so that Next does not keep a thread
	dead timer
	// cgroups is where launch groups are.
	cgroups cgroups

	reading sync.Mutex
	buffer  []byte
	unread  []byte // events in buffer

	mu      sync.Mutex
	watched []string // mount points with a mark
	lasting bool     // the kernel has no marks that it may drop (before 5.19)
}

var _ port.Executions = (*Group)(nil)

// Open returns a group without marks. Errors name the call and the remedy; they
// wrap errors.ErrUnsupported for a kernel that cannot.
func Open() (*Group, error) {
	// CONTENT: events before anything is executed, and permission to answer. The
	// queue is not bounded: what does not fit into one the kernel allows.
	fd, err := unix.FanotifyInit(unix.FAN_CLASS_CONTENT|unix.FAN_CLOEXEC|unix.FAN_NONBLOCK|unix.FAN_UNLIMITED_QUEUE|unix.FAN_UNLIMITED_MARKS,
		unix.O_RDONLY|unix.O_LARGEFILE|unix.O_CLOEXEC)
	switch {
	case errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EINVAL):
		return nil, fmt.Errorf("fanotify_init: %w: this kernel cannot stop programs before they run: it needs Linux 5.0 with CONFIG_FANOTIFY_ACCESS_PERMISSIONS: %w", err, errors.ErrUnsupported)
	case errors.Is(err, unix.EPERM):
		return nil, fmt.Errorf("fanotify_init: %w: this needs CAP_SYS_ADMIN in the first user namespace: run the agent on the machine itself and not in a container, and leave CAP_SYS_ADMIN in CapabilityBoundingSet= of its unit", err)
	case err != nil:
		return nil, fmt.Errorf("fanotify_init: %w", err)
	}
	g := &Group{file: os.NewFile(uintptr(fd), "fanotify"), buffer: make([]byte, 64*metadataSize)}
	if table, err := os.ReadFile("/proc/self/mountinfo"); err == nil { // without it no group is known
		g.cgroups = cgroupsIn(string(table))
	}
	return g, nil
}

// Ready reports whether this kernel can stop programs for this process.
func Ready() error {
	g, err := Open()
	if err != nil {
		return err
	}
	defer g.Close()
	// Kernels without permission events, and those before 5.0, refuse the mark. That of
	// a directory itself stops no program.
	return g.mark(unix.FAN_MARK_ADD, unix.FAN_OPEN_EXEC_PERM, unix.AT_FDCWD, "/")
}

// Close has the kernel allow everything that waits. Then nobody needs this process to
// be ended any more.
func (g *Group) Close() error { return errors.Join(g.file.Close(), g.dead.stop()) }

// fd calls f with the group's descriptor.
func (g *Group) fd(f func(fd int) error) error {
	raw, err := g.file.SyscallConn()
	if err != nil {
		return err
	}
	var inner error
	if err := raw.Control(func(fd uintptr) { inner = f(int(fd)) }); err != nil {
		return err
	}
	return inner
}

func (g *Group) mark(flags uint, mask uint64, dir int, path string) error {
	err := g.fd(func(fd int) error { return unix.FanotifyMark(fd, flags, mask, dir, path) })
	switch {
	case errors.Is(err, unix.EINVAL):
		return fmt.Errorf("fanotify_mark: %w: this kernel cannot stop programs before they run: it needs Linux 5.0 with CONFIG_FANOTIFY_ACCESS_PERMISSIONS: %w", err, errors.ErrUnsupported)
	case err != nil:
		return fmt.Errorf("fanotify_mark: %w", err)
	}
	return nil
}

// local are file systems that answer by themselves. Attack: of one that a user's
// program serves (FUSE), or a server that is gone, reading a file never ends, and
// keeperexec with it. Programs there are not stopped (docs/interception.md).
var local = []string{"bcachefs", "btrfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "iso9660", "jfs", "overlay", "ramfs", "rootfs", "squashfs", "tmpfs", "udf", "vfat", "xfs", "zfs"}

// Watch implements port.Executions.
func (g *Group) Watch(on bool, mounts []string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !on {
		g.watched = nil
		return errors.Join(g.mark(unix.FAN_MARK_FLUSH|unix.FAN_MARK_FILESYSTEM, 0, unix.AT_FDCWD, "/"), g.recall())
	}
	if len(mounts) == 0 {
		table, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil {
			return fmt.Errorf("read the table of mounts: %w", err)
		}
		mounts = mountPoints(string(table))
	}
	var failed error
	for _, point := range mounts {
		if slices.Contains(g.watched, point) {
			continue
		}
		// The file system and not the mount: users see it in other places too.
		err := g.mark(unix.FAN_MARK_ADD|unix.FAN_MARK_FILESYSTEM, unix.FAN_OPEN_EXEC_PERM, unix.AT_FDCWD, point)
		if err != nil {
			failed = fmt.Errorf("%s: %w", point, err)
			continue // it may have gone
		}
		g.watched = append(g.watched, point)
	}
	if len(g.watched) == 0 && failed != nil {
		return failed
	}
	return nil
}

// mountPoints are those in the text of a mountinfo file (proc_pid_mountinfo(5)) from
// which programs can be run, and whose file systems are local.
func mountPoints(table string) (points []string) {
	for line := range strings.Lines(table) {
		// id parent device root point options [tags] - type source options
		before, after, _ := strings.Cut(line, " - ")
		fields, kind := strings.Fields(before), strings.Fields(after)
		if len(fields) < 6 || len(kind) == 0 || !slices.Contains(local, kind[0]) || slices.Contains(strings.Split(fields[5], ","), "noexec") {
			continue
		}
		points = append(points, unescape.Replace(fields[4]))
	}
	return points
}

var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
