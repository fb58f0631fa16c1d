package caller

import (
	"errors"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	defaultRoot = "/usr/local/KeeperPrivilegeManager"
	doorPath    = "run/door.sock"
	// maxSocketPath is what sun_path holds besides its terminator (sys/un.h).
	maxSocketPath = 103
)

// Connect implements port.Service.
//
// Attack: another user listens there and asks the caller for secrets. macOS has no
// handle by which a socket is connected to, so that the whole way is checked: no
// link, and nothing that others than root can change. Then nobody but root can put
// another socket there between the check and the connection.
func (c *connection) Connect(root string) error {
	real, err := filepath.EvalSymlinks(root)
	if err != nil {
		return errors.New(root + ": " + err.Error() + "; install the agent there, or name another with --root")
	}
	if real, err = filepath.Abs(real); err != nil {
		return errors.New(root + ": " + err.Error())
	}
	if err := trusted(real); err != nil {
		return err
	}
	var run, st unix.Stat_t
	if err := unix.Lstat(real+"/run", &run); err != nil {
		return notRunning(root, real+"/run", err)
	}
	if run.Mode&unix.S_IFMT != unix.S_IFDIR || run.Uid != 0 || run.Mode&0o022 != 0 {
		return errors.New(root + "/run can be changed by others than root; nothing was sent")
	}
	if err := unix.Lstat(real+"/"+doorPath, &st); err != nil {
		return notRunning(root, real+"/run", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFSOCK || st.Uid != 0 {
		return errors.New(root + "/" + doorPath + " is not a socket of root; nothing was sent")
	}
	name := real + "/" + doorPath
	if len(name) > maxSocketPath { // by the directory's numbers, which the kernel resolves
		name = "/.vol/" + strconv.FormatUint(uint64(uint32(run.Dev)), 10) + "/" + strconv.FormatUint(run.Ino, 10) + "/" + filepath.Base(doorPath)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return errors.New("socket: " + err.Error())
	}
	unix.CloseOnExec(fd)
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: name}); err != nil {
		unix.Close(fd)
		return notRunning(root, real+"/run", err)
	}
	return c.use(fd)
}

// trusted reports whether nobody but root can put another directory in the place
// of path, which has no links. Above it, sticky directories of root are safe:
// nobody else can move what is root's.
//
// It asks less than platform/darwin/file, and by itself: that package binds the
// system's library, and keepersudo links nothing that people would wait for at every
// command. Access
// control lists are not read, and what lies on which mount is not asked: the root is
// the person's own choice, and the service asks more of it before it starts.
func trusted(path string) error {
	for at, top := path, true; ; top = false {
		var st unix.Stat_t
		err := unix.Lstat(at, &st)
		switch {
		case err != nil:
			return errors.New(at + ": " + err.Error())
		case st.Mode&unix.S_IFMT != unix.S_IFDIR || st.Uid != 0,
			st.Mode&0o022 != 0 && (top || st.Mode&unix.S_ISVTX == 0) && !(st.Mode&0o002 == 0 && st.Gid == 0):
			return errors.New(at + " can be changed by others than root; " + path + " is not used as an agent root")
		case at == "/":
			return nil
		}
		at = at[:max(1, strings.LastIndexByte(at, '/'))]
	}
}
