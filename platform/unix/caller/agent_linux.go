package caller

import (
	"errors"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"kpm/platform/linux/early"
)

const (
	defaultRoot = "/opt/KeeperPrivilegeManager"
	doorPath    = "run/door.sock"
)

// Connect implements port.Service.
func (c *connection) Connect(root string) error {
	if taken, ok := early.Take(); ok {
		return c.goOn(taken.Connection, taken.Received)
	}
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return errors.New(root + ": " + err.Error() + "; install the agent there, or name another with --root")
	}
	defer unix.Close(dir)
	handle := "/proc/self/fd/" + strconv.Itoa(dir)
	if err := trusted(handle); err != nil {
		return err
	}
	// Attack: another user listens there and asks the caller for secrets.
	var st unix.Stat_t
	if err := unix.Fstatat(dir, doorPath, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return notRunning(root, handle+"/run", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK || st.Uid != 0 {
		return errors.New(root + "/" + doorPath + " is not a socket of root; nothing was sent")
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return errors.New("socket: " + err.Error())
	}
	// By the handle: what was checked is what is used, and no path is too long
	// for a socket's name.
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: handle + "/" + doorPath}); err != nil {
		unix.Close(fd)
		return notRunning(root, handle+"/run", err)
	}
	return c.use(fd)
}

// goOn is use of a connection on which the request was sent already, and received was
// received.
func (c *connection) goOn(fd int, received []byte) error {
	if err := c.use(fd); err != nil {
		return err
	}
	c.asked, c.received = true, received
	return nil
}

// trusted reports whether nobody but root can put another directory in the
// place of the one behind handle. Above it, sticky directories of root are
// safe: nobody else can move what is root's.
//
// It asks less than platform/linux/file, and by itself: that package links fmt,
// and keepersudo links nothing that people would wait for at every command. The
// group bits cover access control lists. What lies on which mount is not asked:
// the root is the person's own choice.
func trusted(handle string) error {
	var buf [unix.PathMax]byte
	n, err := unix.Readlink(handle, buf[:])
	if err != nil {
		return errors.New("agent root: " + err.Error())
	}
	path := string(buf[:n])
	for at, top := path, true; ; top = false {
		var st unix.Stat_t
		err := unix.Lstat(at, &st)
		switch {
		case err != nil:
			return errors.New(at + ": " + err.Error())
		case st.Mode&unix.S_IFMT != unix.S_IFDIR || st.Uid != 0,
			st.Mode&0o022 != 0 && (top || st.Mode&unix.S_ISVTX == 0):
			return errors.New(at + " can be changed by others than root; " + path + " is not used as an agent root")
		case at == "/":
			return nil
		}
		at = at[:max(1, strings.LastIndexByte(at, '/'))]
	}
}
