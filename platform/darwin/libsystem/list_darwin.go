package libsystem

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// listExtended is ACL_TYPE_EXTENDED, the only kind that macOS has (sys/acl.h).
const listExtended = 0x100

// isErrno reports whether err is about one error number.
func isErrno(err error, number unix.Errno) bool { return errors.Is(err, number) }

// AccessList returns the access control list of an open file as acl_to_text(3)
// writes it, "" if it has none.
func (c *Calls) AccessList(fd int) (string, error) {
	var list unsafe.Pointer
	_, err := c.checked("acl_get_fd_np", func() int32 {
		if list = c.ACLGetFd(int32(fd), listExtended); list == nil {
			return -1
		}
		return 0
	})
	switch {
	case isErrno(err, unix.ENOENT), isErrno(err, unix.ENOTSUP): // there is none, or can be none
		return "", nil
	case err != nil:
		return "", err
	}
	defer c.ACLFree(list)
	var length int64
	text := c.ACLToText(list, &length)
	if text == nil || length < 0 {
		return "", errors.New("acl_to_text: no text")
	}
	defer c.ACLFree(text)
	return string(unsafe.Slice((*byte)(text), length)), nil
}

// SetAccessList gives an open file an access control list.
func (c *Calls) SetAccessList(fd int, text string) error {
	list := c.ACLFromText(text)
	if list == nil {
		return fmt.Errorf("acl_from_text: %q is none", text)
	}
	defer c.ACLFree(list)
	_, err := c.checked("acl_set_fd", func() int32 { return c.ACLSetFd(int32(fd), list) })
	return err
}

// UUID is that of a user, by which access control lists name them. The directory is
// asked; a user whom it does not know has one that is made of the id.
func (c *Calls) UUID(uid uint32) (string, error) {
	var b [16]byte
	if failed := c.MbrUIDToUUID(uid, unsafe.Pointer(&b)); failed != 0 {
		return "", fmt.Errorf("mbr_uid_to_uuid: %w", unix.Errno(failed))
	}
	return fmt.Sprintf("%X-%X-%X-%X-%X", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), nil
}
