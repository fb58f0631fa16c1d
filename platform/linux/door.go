//go:build linux

package linux

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/fair"
	"kpm/core/port"
	"kpm/platform/linux/file"
)

const (
	// maxDescriptors is how many descriptors one message carries: the five of
	// a Request frame (docs/wire.md, "Door frames") and room to spare.
	maxDescriptors = 8
	// maxSocketPath is what sun_path holds besides its terminator (unix(7)).
	maxSocketPath = 107
	// doorQueue is how many callers wait to be accepted. Attack: a user who connects
	// and closes as fast as possible fills the kernel's queue, and everybody stands
	// behind all that is in it: 4096 of them are 40 ms. Whoever finds it full waits in
	// connect(2), which keepersudo does, and is let in by turns. Other local sockets
	// keep the long queue, since what connects there may be a library that takes a
	// full one for an error.
	doorQueue = 16
)

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
	from, err := newViewpoint(t.Accounts)
	if err != nil {
		return nil, fmt.Errorf("listen %s: %w", path, err)
	}
	l, err := listen(path, t.Accounts)
	if err != nil {
		return nil, err
	}
	// listen(2) may be called again, for another queue.
	if err := onDescriptor(l, func(fd int) error { return unix.Listen(fd, doorQueue) }); err != nil {
		return nil, errors.Join(fmt.Errorf("listen %s: %w", path, err), l.Close())
	}
	return doorListener{l, from}, nil
}

// ListenLocal implements port.LocalTransport.
func (t Transport) ListenLocal(path string) (net.Listener, error) {
	l, err := listen(path, t.Accounts)
	if err != nil {
		return nil, err
	}
	// Nobody has a reason to send descriptors here. Kernels before 6.16 cannot
	// refuse them; there they are dropped when they are read past.
	err = onDescriptor(l, func(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSRIGHTS, 0) })
	if l.dropping = errors.Is(err, unix.ENOPROTOOPT); err != nil && !l.dropping {
		return nil, errors.Join(fmt.Errorf("listen %s: %w", path, err), l.Close())
	}
	return l, nil
}

// Dial implements port.LocalTransport, for a path of any length.
func (Transport) Dial(path string) (net.Conn, error) {
	dir, err := openSocketDir(path)
	if err != nil {
		return nil, fmt.Errorf("connect %s: %w", path, err)
	}
	defer unix.Close(dir)
	// Attack: somebody keeps the queue of those who want to connect full. Like a
	// call that waits, we wait for room in it.
	for deadline := time.Now().Add(dialTime); ; time.Sleep(dialPause) {
		conn, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: socketName(dir, path), Net: "unix"})
		if err == nil {
			return conn, nil
		}
		if !errors.Is(err, unix.EAGAIN) || time.Now().After(deadline) {
			return nil, fmt.Errorf("connect %s: %w", path, err)
		}
	}
}

// dialTime is how long a full queue is waited at, dialPause until the next try.
const (
	dialTime  = 10 * time.Second
	dialPause = time.Millisecond
)

// localListener is a listening socket that takes its name with it.
type localListener struct {
	*net.UnixListener
	path   string
	dir    int // open while the socket has its name
	node   file.Node
	closer func() error
	// dropping is true if descriptors that come with what is read are dropped.
	dropping bool
	spare    atomic.Pointer[os.File] // for unixConn

	waiting  *os.File                 // the listening socket, to wait at it for what net has no way to do
	screen   func(core.UserID) []byte // nil lets everybody pass
	yielder  *fair.Yielder
	accounts known                    // nil leaves everyone their own share
	dropped  *fair.Slots[core.UserID] // connections that are being closed, by share
	droppers sync.WaitGroup
	closing  atomic.Bool
}

// listen binds path; accounts may be nil. A socket that is there already is replaced only if nobody
// listens on it any more.
func listen(path string, accounts known) (*localListener, error) {
	l, err := bindSocket(path, accounts)
	if err != nil {
		return nil, fmt.Errorf("listen %s: %w", path, err)
	}
	return l, nil
}

func bindSocket(path string, accounts known) (*localListener, error) {
	dir, err := openSocketDir(path)
	if err != nil {
		return nil, err
	}
	// It has another name until everybody may connect: bind(2) makes it root's alone
	// (umask), and who comes at that moment would be told that they have no access.
	made := path + freshSuffix
	if err := errors.Join(clearStale(dir, path), clearStale(dir, made)); err != nil {
		unix.Close(dir)
		return nil, err
	}
	inner, err := net.ListenUnix("unix", &net.UnixAddr{Name: socketName(dir, made), Net: "unix"})
	if err != nil {
		unix.Close(dir)
		return nil, err
	}
	waiting, err := inner.File()
	if err != nil {
		unix.Close(dir)
		return nil, errors.Join(err, inner.Close())
	}
	// The name is removed below, by directory and inode: the listener would
	// remove whatever has it by then.
	inner.SetUnlinkOnClose(false)
	l := &localListener{
		UnixListener: inner, path: path, dir: dir, waiting: waiting, yielder: fair.NewYielder(), accounts: accounts,
		dropped: fair.NewSlots[core.UserID](fair.Bounds{Each: maxDropped, All: math.MaxInt64}),
	}
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

// Accept implements net.Listener.
func (l *localListener) Accept() (net.Conn, error) {
	conn, err := l.acceptScreened()
	if err != nil {
		return nil, err
	}
	if l.dropping {
		return droppingConn{localConn{conn}}, nil
	}
	return localConn{conn}, nil
}

// Addr returns the path that was asked for, however it was bound.
func (l *localListener) Addr() net.Addr { return &net.UnixAddr{Name: l.path, Net: "unix"} }

// Close stops listening and removes the socket, unless another one has taken
// its name.
func (l *localListener) Close() error { return l.closer() }

func (l *localListener) close() error {
	l.closing.Store(true)
	defer unix.Close(l.dir)
	defer l.droppers.Wait()
	defer l.yielder.Close()
	defer l.waiting.Close()
	defer l.dropSpare()
	base := filepath.Base(l.path)
	if now, err := statIn(l.dir, base); err == nil && now.Dev == l.node.Dev && now.Inode == l.node.Inode {
		if err := unix.Unlinkat(l.dir, base, 0); err != nil {
			return errors.Join(fmt.Errorf("remove %s: %w", l.path, err), l.UnixListener.Close())
		}
	}
	return l.UnixListener.Close()
}

// openSocketDir opens the directory that path's socket lies in.
func openSocketDir(path string) (int, error) {
	return openat(unix.AT_FDCWD, filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY, 0)
}

// socketName is path, or a shorter way to the same name in the open directory
// dir (decision 3).
func socketName(dir int, path string) string {
	if len(path) <= maxSocketPath {
		return path
	}
	return procFd(dir) + "/" + filepath.Base(path)
}

// clearStale makes way for a socket at path in dir. Attack: whoever can write
// to the directory puts a link, a file or a socket of their own there, to have
// it removed or to be connected to in our place.
func clearStale(dir int, path string) error {
	if _, err := file.RootAlone(dir, filepath.Dir(path)); err != nil {
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
	if alive, err := listening(socketName(dir, path)); err != nil || alive {
		return errors.Join(err, unix.EADDRINUSE)
	}
	return unix.Unlinkat(dir, base, 0)
}

// listening reports whether somebody accepts connections at name.
func listening(name string) (bool, error) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return false, err
	}
	defer unix.Close(fd)
	switch err := unix.Connect(fd, &unix.SockaddrUnix{Name: name}); err {
	case nil, unix.EAGAIN: // EAGAIN: its queue is full
		return true, nil
	case unix.ECONNREFUSED:
		return false, nil
	default:
		return false, err
	}
}

// statIn describes the entry name of the directory dir, itself if it is a link.
func statIn(dir int, name string) (file.Node, error) {
	fd, err := openat(dir, name, unix.O_PATH|unix.O_NOFOLLOW, 0)
	if err != nil {
		return file.Node{}, err
	}
	defer unix.Close(fd)
	return file.Stat(fd)
}

type doorListener struct {
	*localListener
	from viewpoint
}

// Accept implements port.DoorListener.
func (l doorListener) Accept() (port.DoorConn, error) {
	conn, err := l.acceptScreened()
	if err != nil {
		return nil, err
	}
	return doorConn{localConn{conn}, l.from}, nil
}

// doorConn is one caller at the door.
type doorConn struct {
	localConn
	from viewpoint
}

// User implements port.DoorConn.
func (c doorConn) User() (core.UserID, error) { return onSocket(c.UnixConn, unixUser) }

// Peer implements port.DoorConn.
func (c doorConn) Peer() (core.Peer, error) { return onSocket(c.UnixConn, c.from.unixPeer) }

// ReadWithFiles implements port.DoorConn. More than 8 descriptors, or one that
// we have no room for, is an error.
//
// A caller can send a descriptor whose every close(2) waits for as long as they
// like (FUSE's flush, a socket's SO_LINGER), here and wherever the files are
// closed later. Both belong on a goroutine that is accounted to that caller.
func (c doorConn) ReadWithFiles(p []byte) (int, []*os.File, error) {
	oob := make([]byte, unix.CmsgSpace(4*maxDescriptors))
	n, oobn, flags, _, err := c.ReadMsgUnix(p, oob) // receives close-on-exec
	fds, parseErr := descriptors(oob[:oobn])
	if errors.Is(err, io.EOF) {
		err = io.EOF // unwrapped, as readers expect it
	} else if err == nil {
		err = parseErr
	}
	if err == nil && flags&unix.MSG_CTRUNC != 0 && len(fds) < maxDescriptors {
		// There was room in the message: what could not be received is one
		// more descriptor of this process.
		err = fmt.Errorf("door: receive descriptors: %w", unix.EMFILE)
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

// wrap makes a received descriptor a file. Attack: os.NewFile puts one that is
// in non-blocking mode, which the caller can switch at any moment, into the
// runtime's poller; epoll_ctl then asks the file whether it is ready, and with
// a FUSE daemon that does not answer that call never returns. The runtime makes
// it without giving up its processor: a few such descriptors would stop every
// goroutine. So the file is made around a descriptor of our own, which is then
// replaced.
func wrap(fd int) (*os.File, error) {
	defer unix.Close(fd)
	plain, err := openat(unix.AT_FDCWD, "/", unix.O_PATH, 0)
	if err != nil {
		return nil, fmt.Errorf("door: descriptor: %w", err)
	}
	f := os.NewFile(uintptr(plain), "received descriptor "+strconv.Itoa(plain))
	if err := unix.Dup3(fd, plain, unix.O_CLOEXEC); err != nil {
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
