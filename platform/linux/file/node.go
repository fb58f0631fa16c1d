//go:build linux

package file

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Node is what statx says about an object, from the kernel's own memory.
type Node struct {
	Dev, Inode  uint64
	Mode        uint16 // type and permissions
	UID, GID    uint32
	Links       uint32
	Size        int64 // bytes
	Change      time.Time
	mountID     uint64
	uniqueMount bool // mountID is never used again; older kernels know none such
}

func (n Node) Regular() bool { return n.Mode&unix.S_IFMT == unix.S_IFREG }
func (n Node) Dir() bool     { return n.Mode&unix.S_IFMT == unix.S_IFDIR }
func (n Node) Link() bool    { return n.Mode&unix.S_IFMT == unix.S_IFLNK }

// Stat describes fd. AT_STATX_DONT_SYNC keeps FUSE daemons and file servers
// out of it.
func Stat(fd int) (Node, error) {
	var st unix.Statx_t
	if err := statx(fd, unix.STATX_BASIC_STATS|unix.STATX_MNT_ID|unix.STATX_MNT_ID_UNIQUE, &st); err != nil {
		return Node{}, err
	}
	if st.Mask&(unix.STATX_MNT_ID|unix.STATX_MNT_ID_UNIQUE) == 0 {
		return Node{}, errors.New("the kernel does not tell mounts apart; 5.8 or later is needed")
	}
	return Node{
		Dev:     unix.Mkdev(st.Dev_major, st.Dev_minor),
		Inode:   st.Ino,
		mountID: st.Mnt_id, uniqueMount: st.Mask&unix.STATX_MNT_ID_UNIQUE != 0,
		Mode:   st.Mode,
		UID:    st.Uid,
		GID:    st.Gid,
		Links:  st.Nlink,
		Size:   int64(st.Size),
		Change: time.Unix(st.Ctime.Sec, int64(st.Ctime.Nsec)),
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

// Place is an object, where it is, and on what.
type Place struct {
	Node
	Path  string
	Mount Mount
}

// WhereIs says where the object behind fd is now, or that it is nowhere.
func WhereIs(fd int) (Place, error) {
	var buf [unix.PathMax]byte
	n, err := unix.Readlink(ProcFd(fd), buf[:])
	if err != nil {
		return Place{}, fmt.Errorf("files: inspect: %w", err)
	}
	at := Place{Path: string(buf[:n])}
	// A file really called "x (deleted)" is refused too: the kernel marks
	// deleted files no other way, and a mistake must not grant anything.
	if strings.HasSuffix(at.Path, " (deleted)") || !strings.HasPrefix(at.Path, "/") {
		return Place{}, fmt.Errorf("files: %q has no Place in the file system: %w", at.Path, fs.ErrNotExist)
	}
	if at.Node, err = Stat(fd); err != nil {
		return Place{}, fmt.Errorf("files: inspect %s: %w", at.Path, err)
	}
	if at.Mount, err = FindMount(fd, at.Node); err != nil {
		return Place{}, fmt.Errorf("files: inspect %s: %w", at.Path, err)
	}
	return at, nil
}
