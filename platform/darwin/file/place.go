package file

import (
	"strings"
	"time"
)

// Kinds and bits of a mode (sys/stat.h; every Unix has the same).
const (
	kindMask = 0o170000
	kindDir  = 0o040000
	kindFile = 0o100000
	kindLink = 0o120000
	sticky   = 0o1000
)

// Node is what fstat(2) says about an object.
type Node struct {
	Dev, Inode uint64
	Mode       uint16 // type and permissions
	UID, GID   uint32
	Links      uint32
	Size       int64 // bytes
	Change     time.Time
	Device     uint32 // of a device, which one
}

// Regular, Dir and Link say what the object is.
func (n Node) Regular() bool { return n.Mode&kindMask == kindFile }
func (n Node) Dir() bool     { return n.Mode&kindMask == kindDir }
func (n Node) Link() bool    { return n.Mode&kindMask == kindLink }

// Same reports whether two describe one object.
func (n Node) Same(m Node) bool { return n.Dev == m.Dev && n.Inode == m.Inode }

// Place is an object, where it is, and on what.
type Place struct {
	Node
	Path  string
	Mount Mount
	// List is its extended access control list as acl_to_text(3) writes it, empty
	// for none.
	List string
}

// Mount is a mounted file system, as getfsstat(2) remembers it: nobody has to be
// asked.
type Mount struct {
	On    string // where, absolute
	Kind  string // "apfs", "hfs", "smbfs"
	Flags uint32
}

// Flags of a mount (sys/mount.h).
const (
	mountNoSetuid     = 0x8
	mountLocal        = 0x1000
	mountIgnoresOwner = 0x200000
)

// Local reports whether reading it waits for nobody but the disk: Apple's own file
// systems, on a local disk. A file system in user space (macFUSE) can call itself
// local.
func (m Mount) Local() bool {
	return m.Flags&mountLocal != 0 && (m.Kind == "apfs" || m.Kind == "hfs")
}

// Devices reports whether it is the one that the kernel keeps devices in.
func (m Mount) Devices() bool { return m.Kind == "devfs" }

// image reports whether files have owners that whoever made the disk chose, or
// none that count.
func (m Mount) image() bool { return m.Flags&(mountNoSetuid|mountIgnoresOwner) != 0 }

// Mounts are all mounted file systems.
type Mounts []Mount

// Of returns the one that path, absolute and clean, lies on: the longest prefix,
// the last mounted of several at one place. The volumes of one system that look
// like one tree (/Users is on /System/Volumes/Data) are both local, and each other's
// equals in everything that is asked here.
func (all Mounts) Of(path string) Mount {
	var found Mount
	for _, m := range all {
		if (m.On == path || m.On == "/" || strings.HasPrefix(path, m.On+"/")) && len(m.On) >= len(found.On) {
			found = m
		}
	}
	return found
}
