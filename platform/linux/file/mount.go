//go:build linux

package file

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Mount is what this namespace's mount table says about one mount.
//
// The table is asked instead of statfs(2), which hands the question to the
// FUSE daemon or the file server and waits for it: a user's daemon that never
// answers would hold the service for ever.
type Mount struct {
	Kind   string // file system type: "ext4", "fuse", "fuse.sshfs"
	nosuid bool
}

// Local reports whether this kernel alone keeps the contents: no server and no
// user-space daemon answers for them, and owners are recorded per file.
func (m Mount) Local() bool {
	switch m.Kind {
	case "ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "bcachefs", "zfs", "jfs", "nilfs2", "ubifs",
		"overlay", "squashfs", "erofs", "iso9660", "tmpfs", "ramfs", "rootfs", "devtmpfs":
		return true
	}
	return false
}

// Userspace reports whether a daemon, perhaps a user's own, answers for the
// file system.
func (m Mount) Userspace() bool {
	return m.Kind == "fuse" || m.Kind == "fuseblk" || strings.HasPrefix(m.Kind, "fuse.")
}

// image reports whether the owners recorded on the file system may have been
// written by somebody else. Desktops let their user mount a disk image that
// the user made, full of files that "belong to root", and mark it nosuid.
// What lies on tmpfs was created through this kernel.
func (m Mount) image() bool {
	return m.nosuid && m.Kind != "tmpfs" && m.Kind != "ramfs" && m.Kind != "devtmpfs"
}

// FindMount returns the mount that the object behind fd is on, which stat has
// described. A mount of another namespace, or a detached one, is
// fs.ErrNotExist: the kernel shows its paths as if they began at our root, so
// "/usr/bin/id" there would pass for ours.
func FindMount(fd int, at Node) (Mount, error) {
	if !at.uniqueMount {
		return readTable(at.mountID)
	}
	m, err := statMount(at.mountID)
	switch {
	case err == nil:
		return m, nil
	case errors.Is(err, unix.ENOENT):
		return Mount{}, notMounted()
	}
	id, err := tableID(fd)
	if err != nil {
		return Mount{}, err
	}
	return readTable(id)
}

func notMounted() error {
	return fmt.Errorf("it is not on a file system mounted here: %w", fs.ErrNotExist)
}

// readTable looks an id up in the mount table, as kernels before 6.8 have to.
func readTable(id uint64) (Mount, error) {
	fd, err := OpenAt(unix.AT_FDCWD, "/proc/self/mountinfo", unix.O_RDONLY, 0)
	if err != nil {
		return Mount{}, fmt.Errorf("mount table: %w", err)
	}
	defer unix.Close(fd)
	lines := bufio.NewScanner(descriptor(fd))
	lines.Buffer(make([]byte, 1024), 1<<20) // small: the kernel writes what is asked for, and "/" comes early
	for lines.Scan() {
		if found, m, ok := parseMount(lines.Bytes()); ok && found == id {
			return m, nil
		}
	}
	if err := lines.Err(); err != nil {
		return Mount{}, fmt.Errorf("mount table: %w", err)
	}
	return Mount{}, notMounted()
}

// parseMount reads one line of /proc/self/mountinfo (proc_pid_mountinfo(5)):
// "36 35 98:0 /root /mount-point rw,nosuid master:1 - ext4 /dev/sda1 rw". Users
// choose mount points and sources; the kernel escapes spaces and line breaks
// in them.
func parseMount(line []byte) (id uint64, m Mount, ok bool) {
	fields := bytes.Split(line, []byte{' '})
	if len(fields) < 9 {
		return 0, Mount{}, false
	}
	id, err := strconv.ParseUint(string(fields[0]), 10, 64)
	if err != nil {
		return 0, Mount{}, false
	}
	for option := range bytes.SplitSeq(fields[5], []byte{','}) {
		m.nosuid = m.nosuid || string(option) == "nosuid"
	}
	for i := 6; i+1 < len(fields); i++ {
		if string(fields[i]) == "-" {
			m.Kind = string(fields[i+1])
			return id, m, true
		}
	}
	return 0, Mount{}, false
}

// descriptor reads a file without handing it to the runtime's poller.
type descriptor int

func (d descriptor) Read(p []byte) (int, error) {
	for {
		n, err := unix.Read(int(d), p)
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return 0, err
		case n == 0 && len(p) > 0:
			return 0, io.EOF
		}
		return n, nil
	}
}
