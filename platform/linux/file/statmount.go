//go:build linux

package file

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// statmount(2), since Linux 6.8 (include/uapi/linux/mount.h). One call instead
// of reading the table, on the path of every elevation.
const (
	requestSize   = 24 // struct mnt_id_req, its first version
	basicMount    = 0x2
	fileSystem    = 0x20
	maskAt        = 8 // offsets in struct statmount
	typeAt        = 36
	attributesAt  = 64
	stringsAt     = 512
	answerSize    = stringsAt + 256
	attributeSUID = 0x2 // MOUNT_ATTR_NOSUID
)

// errNoStatmount means that this kernel, or a filter of system calls, knows no
// statmount, or does not show this mount.
var errNoStatmount = errors.New("statmount is not available")

// statMount returns the mount with a unique id that statx reported. Like the
// table it knows the mounts of this namespace only: any other is unix.ENOENT.
func statMount(id uint64) (Mount, error) {
	var request [requestSize]byte
	binary.NativeEndian.PutUint32(request[0:], requestSize)
	binary.NativeEndian.PutUint64(request[8:], id)
	binary.NativeEndian.PutUint64(request[16:], basicMount|fileSystem)
	var answer [answerSize]byte
	_, _, errno := unix.Syscall6(unix.SYS_STATMOUNT, uintptr(unsafe.Pointer(&request)), uintptr(unsafe.Pointer(&answer)), answerSize, 0, 0, 0)
	switch errno {
	case 0:
		return readMount(answer[:])
	case unix.ENOENT:
		return Mount{}, errno
	}
	return Mount{}, fmt.Errorf("%w: %w", errNoStatmount, errno)
}

// readMount reads a struct statmount.
func readMount(answer []byte) (Mount, error) {
	at := uint64(binary.NativeEndian.Uint32(answer[typeAt:])) + stringsAt
	if binary.NativeEndian.Uint64(answer[maskAt:])&(basicMount|fileSystem) != basicMount|fileSystem || at >= uint64(len(answer)) {
		return Mount{}, fmt.Errorf("%w: it leaves out what was asked for", errNoStatmount)
	}
	kind, _, ended := bytes.Cut(answer[at:], []byte{0})
	if !ended || len(kind) == 0 {
		return Mount{}, fmt.Errorf("%w: a file system without a name", errNoStatmount)
	}
	return Mount{Kind: string(kind), nosuid: binary.NativeEndian.Uint64(answer[attributesAt:])&attributeSUID != 0}, nil
}
