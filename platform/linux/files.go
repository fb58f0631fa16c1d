//go:build linux

package linux

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
)

// Files opens, checks and copies programs. It asks nothing that a user-space
// file system could refuse to answer, except where a method says so.
type Files struct {
	// AgentRoot is the service's directory, without links. What lies in it is
	// Protected also if sticky directories of root's are above it (decision
	// 2). Empty means no such exception.
	AgentRoot string
}

var _ port.Files = Files{}

// Find implements port.Files.
func (Files) Find(name string) (*os.File, error) { return find(core.Linux.SecurePath(), name) }

func find(dirs []string, name string) (*os.File, error) {
	if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
		return nil, fmt.Errorf("files: %q is not a bare command name: %w", name, fs.ErrNotExist)
	}
	found := fs.ErrNotExist
	for _, dir := range dirs {
		fd, at, err := walk(dir+"/"+name, anywhere)
		if err != nil {
			continue
		}
		if at.regular() && at.mode&0o111 != 0 {
			return os.NewFile(uintptr(fd), at.path), nil
		}
		unix.Close(fd)
		if at.regular() {
			found = fs.ErrPermission // as execvp(3): not executable, look further
		}
	}
	return nil, fmt.Errorf("files: no program %q in %s: %w", name, strings.Join(dirs, ":"), found)
}

func anywhere(place) error { return nil }

// Locate implements port.Files. It looks into directories of local file
// systems only, since looking a name up anywhere else can wait for ever.
func (Files) Locate(path string) (*os.File, error) {
	fd, at, err := walk(path, anywhere)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), at.path), nil
}

// Inspect implements port.Files. On FUSE it reports what the kernel remembers.
func (Files) Inspect(f *os.File) (port.FileInfo, error) {
	var info port.FileInfo
	err := onDescriptor(f, func(fd int) error {
		at, err := whereIs(fd)
		if err != nil {
			return err
		}
		info = port.FileInfo{
			Path:    at.path,
			Device:  at.dev,
			Inode:   at.ino,
			Size:    at.size,
			Change:  at.change,
			Regular: at.regular(),
			Exec:    at.mode&0o111 != 0,
			Owner:   core.UserID(strconv.FormatUint(uint64(at.uid), 10)),
		}
		return nil
	})
	return info, err
}

// Open implements port.Files. A file on FUSE is refused with fs.ErrPermission:
// its daemon, which may be the caller's, can leave open(2) and read(2) waiting
// uninterruptibly. On a network file system reads wait for the server.
func (Files) Open(f *os.File) (*os.File, error) {
	var opened *os.File
	err := onDescriptor(f, func(fd int) error {
		at, err := whereIs(fd)
		if err != nil {
			return err
		}
		if !at.regular() {
			return fmt.Errorf("files: %s: %w", at.path, core.ErrNotRegular)
		}
		if at.mount.userspace() {
			return fmt.Errorf("files: %s lies on a %s file system, whose daemon need not answer; copy it to a local one: %w",
				at.path, at.mount.kind, fs.ErrPermission)
		}
		// O_NONBLOCK: a lease that the file's owner holds would otherwise
		// keep us waiting for as long as lease-break-time.
		opened, err = reopen(fd, at.path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
		if errors.Is(err, unix.EWOULDBLOCK) {
			return fmt.Errorf("files: %s is in use by another program (lease): %w", at.path, fs.ErrPermission)
		}
		return err
	})
	return opened, err
}

// reopen opens what fd refers to again, with flags, and leaves the result in
// blocking mode.
func reopen(fd int, name string, flags int) (*os.File, error) {
	again, err := openat(unix.AT_FDCWD, procFd(fd), flags, 0)
	if err != nil {
		return nil, fmt.Errorf("files: open %s: %w", name, err)
	}
	if err := unix.SetNonblock(again, false); err != nil {
		unix.Close(again)
		return nil, fmt.Errorf("files: open %s: %w", name, err)
	}
	return os.NewFile(uintptr(again), name), nil
}

// node is what statx says about an object, from the kernel's own memory.
type node struct {
	dev, ino, mountID uint64
	uniqueMount       bool // mountID is never used again; older kernels know none such
	mode              uint16
	uid, gid          uint32
	links             uint32
	size              int64
	change            time.Time
}

func (n node) regular() bool { return n.mode&unix.S_IFMT == unix.S_IFREG }
func (n node) dir() bool     { return n.mode&unix.S_IFMT == unix.S_IFDIR }
func (n node) link() bool    { return n.mode&unix.S_IFMT == unix.S_IFLNK }

// stat describes fd. AT_STATX_DONT_SYNC keeps FUSE daemons and file servers
// out of it.
func stat(fd int) (node, error) {
	var st unix.Statx_t
	if err := statx(fd, unix.STATX_BASIC_STATS|unix.STATX_MNT_ID|unix.STATX_MNT_ID_UNIQUE, &st); err != nil {
		return node{}, err
	}
	if st.Mask&(unix.STATX_MNT_ID|unix.STATX_MNT_ID_UNIQUE) == 0 {
		return node{}, errors.New("the kernel does not tell mounts apart; 5.8 or later is needed")
	}
	return node{
		dev:     unix.Mkdev(st.Dev_major, st.Dev_minor),
		ino:     st.Ino,
		mountID: st.Mnt_id, uniqueMount: st.Mask&unix.STATX_MNT_ID_UNIQUE != 0,
		mode:   st.Mode,
		uid:    st.Uid,
		gid:    st.Gid,
		links:  st.Nlink,
		size:   int64(st.Size),
		change: time.Unix(st.Ctime.Sec, int64(st.Ctime.Nsec)),
	}, nil
}

// tableID is the id by which the mount table has the mount of fd's object.
func tableID(fd int) (uint64, error) {
	var st unix.Statx_t
	err := statx(fd, unix.STATX_MNT_ID, &st)
	return st.Mnt_id, err
}

func statx(fd, want int, st *unix.Statx_t) error {
	return unix.Statx(fd, "", unix.AT_EMPTY_PATH|unix.AT_STATX_DONT_SYNC, want, st)
}

// place is an object, where it is, and on what.
type place struct {
	node
	path  string
	mount mount
}

// whereIs says where the object behind fd is now, or that it is nowhere.
func whereIs(fd int) (place, error) {
	var buf [unix.PathMax]byte
	n, err := unix.Readlink(procFd(fd), buf[:])
	if err != nil {
		return place{}, fmt.Errorf("files: inspect: %w", err)
	}
	at := place{path: string(buf[:n])}
	// A file really called "x (deleted)" is refused too: the kernel marks
	// deleted files no other way, and a mistake must not grant anything.
	if strings.HasSuffix(at.path, " (deleted)") || !strings.HasPrefix(at.path, "/") {
		return place{}, fmt.Errorf("files: %q has no place in the file system: %w", at.path, fs.ErrNotExist)
	}
	if at.node, err = stat(fd); err != nil {
		return place{}, fmt.Errorf("files: inspect %s: %w", at.path, err)
	}
	if at.mount, err = findMount(fd, at.node); err != nil {
		return place{}, fmt.Errorf("files: inspect %s: %w", at.path, err)
	}
	return at, nil
}

func procFd(fd int) string { return "/proc/self/fd/" + strconv.Itoa(fd) }

// openat opens close-on-exec and tries again when a signal interrupts it.
func openat(dir int, name string, flags int, perm uint32) (int, error) {
	for {
		fd, err := unix.Openat(dir, name, flags|unix.O_CLOEXEC, perm)
		if err != unix.EINTR {
			return fd, err
		}
	}
}
