//go:build darwin

package darwin

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/darwin/file"
)

// maxDescriptors is how many descriptors one message carries: the five of a
// Request frame (docs/wire.md, "Door frames") and room to spare.
const maxDescriptors = 8

// Transport listens on unix sockets. Everyone may connect to them: who
// connects is asked of the kernel, connection by connection.
type Transport struct {
	// Accounts says whose part of every limit a caller has; nil leaves each
	// their own.
	Accounts known
}

var _ port.LocalTransport = Transport{}

// ListenDoor implements port.LocalTransport.
func (t Transport) ListenDoor(path string) (port.DoorListener, error) {
	l, err := listen(path)
	if err != nil {
		return nil, err
	}
	return doorListener{l, t.Accounts}, nil
}

// ListenLocal implements port.LocalTransport.
func (t Transport) ListenLocal(path string) (net.Listener, error) { return listen(path) }

// Dial implements port.LocalTransport, for a path of any length.
func (Transport) Dial(path string) (net.Conn, error) {
	name := path
	if len(path) > maxSocketPath {
		dir, at, err := file.Walk(filepath.Dir(path), file.Anywhere)
		if err != nil {
			return nil, fmt.Errorf("connect %s: %w", path, err)
		}
		unix.Close(dir)
		name = socketName(at, path)
	}
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("connect %s: %w", path, err)
	}
	return conn, nil
}

// localListener is a listening socket that takes its name with it.
type localListener struct {
	*net.UnixListener
	path   string
	dir    int // open while the socket has its name
	node   file.Node
	screen func(core.UserID) []byte // nil lets everybody pass
	closer func() error
}

// listen binds path. A socket that is there already is replaced only if nobody
// listens on it any more.
func listen(path string) (*localListener, error) {
	l, err := bindSocket(path)
	if err != nil {
		return nil, fmt.Errorf("listen %s: %w", path, err)
	}
	return l, nil
}

func bindSocket(path string) (*localListener, error) {
	dir, at, err := file.Walk(filepath.Dir(path), file.Anywhere)
	if err != nil {
		return nil, err
	}
	// It has another name until everybody may connect, as on Linux.
	made := path + freshSuffix
	name := socketName(at, made)
	if err := errors.Join(clearStale(dir, at, path, socketName(at, path)), clearStale(dir, at, made, name)); err != nil {
		unix.Close(dir)
		return nil, err
	}
	inner, err := net.ListenUnix("unix", &net.UnixAddr{Name: name, Net: "unix"})
	if err != nil {
		unix.Close(dir)
		return nil, err
	}
	// The name is removed below, by directory and inode: the listener would
	// remove whatever has it by then.
	inner.SetUnlinkOnClose(false)
	l := &localListener{UnixListener: inner, path: path, dir: dir}
	l.closer = sync.OnceValue(l.close)
	base, fresh := filepath.Base(path), filepath.Base(made)
	err = unix.Fchmodat(dir, fresh, 0o666, 0)
	if err == nil {
		l.node, err = statIn(dir, fresh)
	}
	if err == nil {
		err = unix.Renameat(dir, fresh, dir, base)
	}
	if err != nil {
		return nil, errors.Join(err, unix.Unlinkat(dir, fresh, 0), l.Close())
	}
	return l, nil
}

// freshSuffix ends the name of a socket that nobody may connect to yet.
const freshSuffix = ".new"

// maxSocketPath is what sun_path holds besides its terminator (sys/un.h).
const maxSocketPath = 103

// socketName is path, or a shorter way to the same name in the directory at: by
// its numbers, which the kernel resolves below /.vol (decision 3).
func socketName(at file.Place, path string) string {
	if len(path) <= maxSocketPath {
		return path
	}
	return fmt.Sprintf("/.vol/%d/%d/%s", at.Dev, at.Inode, filepath.Base(path))
}

// clearStale makes way for a socket at path in dir. Attack: whoever can write
// to the directory puts a link, a file or a socket of their own there, to have
// it removed or to be connected to in our place.
func clearStale(dir int, at file.Place, path, name string) error {
	if err := file.RootAlone(at); err != nil {
		return err
	}
	base := filepath.Base(path)
	there, err := statIn(dir, base)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	if there.Mode&unix.S_IFMT != unix.S_IFSOCK || there.UID != uint32(os.Geteuid()) {
		return fmt.Errorf("something other than a socket of ours is there (uid %d, mode %o); remove it: %w",
			there.UID, there.Mode, fs.ErrExist)
	}
	conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: name, Net: "unix"})
	switch {
	case err == nil:
		return errors.Join(unix.EADDRINUSE, conn.Close())
	case errors.Is(err, unix.ECONNREFUSED): // nobody listens, or its queue is full: whoever holds the lock decides
		return unix.Unlinkat(dir, base, 0)
	}
	return err
}

// statIn describes the entry name of the directory dir, itself if it is a link.
func statIn(dir int, name string) (file.Node, error) {
	var st unix.Stat_t
	if err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return file.Node{}, err
	}
	return file.Node{Dev: uint64(uint32(st.Dev)), Inode: st.Ino, Mode: st.Mode, UID: st.Uid, GID: st.Gid}, nil
}

// Screen implements port.DoorListener. It is called before the first Accept.
func (l *localListener) Screen(refusal func(core.UserID) []byte) { l.screen = refusal }

// Accept implements net.Listener.
func (l *localListener) Accept() (net.Conn, error) { return l.acceptScreened() }

// acceptScreened returns the next connection that l.screen does not refuse. One
// whose caller has gone has no credentials any more.
func (l *localListener) acceptScreened() (*net.UnixConn, error) {
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		user, err := onSocket(conn, unixUser)
		if err != nil {
			conn.Close()
			continue
		}
		if l.screen == nil {
			return conn, nil
		}
		refusal := l.screen(user)
		if refusal == nil {
			return conn, nil
		}
		// Whoever does not take it has been told enough.
		_ = onDescriptor(conn, func(fd int) error { return unix.Sendto(fd, refusal, unix.MSG_DONTWAIT, nil) })
		conn.Close()
	}
}

// Addr returns the path that was asked for, however it was bound.
func (l *localListener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

// Close stops listening and removes the socket, unless another one has taken
// its name.
func (l *localListener) Close() error { return l.closer() }

func (l *localListener) close() error {
	defer unix.Close(l.dir)
	base := filepath.Base(l.path)
	if now, err := statIn(l.dir, base); err == nil && now.Same(l.node) {
		if err := unix.Unlinkat(l.dir, base, 0); err != nil {
			return errors.Join(fmt.Errorf("remove %s: %w", l.path, err), l.UnixListener.Close())
		}
	}
	return l.UnixListener.Close()
}

type doorListener struct {
	*localListener
	accounts known
}

// Accept implements port.DoorListener.
func (l doorListener) Accept() (port.DoorConn, error) {
	conn, err := l.acceptScreened()
	if err != nil {
		return nil, err
	}
	return doorConn{conn, l.accounts}, nil
}

// doorConn is one caller at the door.
type doorConn struct {
	*net.UnixConn
	accounts known
}

var _ port.DoorConn = doorConn{}

// User implements port.DoorConn.
func (c doorConn) User() (core.UserID, error) { return onSocket(c.UnixConn, unixUser) }

// Peer implements port.DoorConn.
func (c doorConn) Peer() (core.Peer, error) {
	return onSocket(c.UnixConn, func(fd int) (core.Peer, error) { return unixPeer(fd, c.accounts) })
}

// ReadWithFiles implements port.DoorConn. More than 8 descriptors, or one that we
// have no room for, is an error.
func (c doorConn) ReadWithFiles(p []byte) (int, []*os.File, error) {
	oob := make([]byte, unix.CmsgSpace(4*maxDescriptors))
	n, oobn, flags, _, err := c.ReadMsgUnix(p, oob) // receives close-on-exec
	fds, parseErr := descriptors(oob[:oobn])
	if errors.Is(err, io.EOF) {
		err = io.EOF // unwrapped, as readers expect it
	} else if err == nil {
		err = parseErr
	}
	if err == nil && flags&(unix.MSG_CTRUNC|unix.MSG_TRUNC) != 0 {
		err = fmt.Errorf("door: more than %d descriptors, or more than fit: %w", maxDescriptors, unix.EMSGSIZE)
	}
	files := make([]*os.File, 0, len(fds))
	for _, fd := range fds {
		f, wrapErr := wrap(fd)
		if wrapErr != nil {
			err = errors.Join(err, wrapErr)
			continue
		}
		files = append(files, f)
	}
	if err != nil {
		for _, f := range files {
			f.Close()
		}
		return n, nil, err
	}
	return n, files, nil
}

// descriptors returns every descriptor that came with a message, also when the
// rest of it cannot be read: they are open and somebody must close them.
func descriptors(oob []byte) (fds []int, err error) {
	for len(oob) >= unix.SizeofCmsghdr {
		header, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			return fds, fmt.Errorf("door: control message: %w", err)
		}
		oob = rest
		if header.Level != unix.SOL_SOCKET || header.Type != unix.SCM_RIGHTS {
			continue
		}
		for ; len(data) >= 4; data = data[4:] {
			fds = append(fds, int(int32(binary.NativeEndian.Uint32(data))))
		}
	}
	return fds, nil
}

// wrap makes a received descriptor a file. Attack: os.NewFile puts one that is in
// non-blocking mode, which the caller can switch at any moment, into the runtime's
// poller, and asks the file whether it is ready; a file system in user space need
// not answer. So the file is made around a descriptor of our own, which is then
// replaced.
func wrap(fd int) (*os.File, error) {
	defer unix.Close(fd)
	plain, err := file.OpenAt(unix.AT_FDCWD, "/", unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return nil, fmt.Errorf("door: descriptor: %w", err)
	}
	f := os.NewFile(uintptr(plain), "received descriptor "+strconv.Itoa(plain))
	syscall.ForkLock.RLock()
	err = unix.Dup2(fd, plain)
	unix.CloseOnExec(plain)
	syscall.ForkLock.RUnlock()
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("door: descriptor: %w", err)
	}
	return f, nil
}

// WriteWithFiles implements port.DoorConn. p is not empty: descriptors travel
// with its first byte.
func (c doorConn) WriteWithFiles(p []byte, files ...*os.File) error {
	if len(p) == 0 || len(files) > maxDescriptors {
		return fmt.Errorf("door: %d bytes with %d descriptors: %w", len(p), len(files), unix.EINVAL)
	}
	return lend(files, nil, func(fds []int) error {
		var oob []byte
		if len(fds) > 0 {
			oob = unix.UnixRights(fds...)
		}
		n, _, err := c.WriteMsgUnix(p, oob, nil)
		if err == nil && n < len(p) {
			_, err = c.Write(p[n:])
		}
		return err
	})
}

// lend calls use with the descriptors of all files and keeps them open
// meanwhile.
func lend(files []*os.File, fds []int, use func([]int) error) error {
	if len(files) == 0 {
		return use(fds)
	}
	return onDescriptor(files[0], func(fd int) error { return lend(files[1:], append(fds, fd), use) })
}
