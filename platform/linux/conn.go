//go:build linux

package linux

import (
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long the kernel may take to close a connection before it is
// told to hurry.
const patience = 2 * time.Millisecond

// localConn is an accepted connection to a local socket.
type localConn struct{ *net.UnixConn }

// Close closes the connection, and whatever waits in it unread.
//
// Attack: a caller sends descriptors of TCP sockets with SO_LINGER and data
// that nobody takes, and keeps none. Whoever closes the connection then closes
// those sockets, and the kernel waits in that very call, for hours if the
// caller likes. A signal ends the wait; the last reference is given up where
// one can be sent.
func (c localConn) Close() error {
	var last int
	err := onDescriptor(c, func(fd int) (err error) {
		last, err = unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		return err
	})
	closed := c.UnixConn.Close()
	if err == nil { // else it is closed already, or there is no room for another
		hurried(func() { unix.Close(last) })
	}
	return closed
}

// droppingConn is a localConn through which descriptors may come that nobody
// wants. The kernel closes them in the call that reads past them, and that call
// waits for sockets with SO_LINGER like any other close.
type droppingConn struct{ localConn }

// Read implements net.Conn.
func (c droppingConn) Read(p []byte) (n int, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	waited := raw.Read(func(fd uintptr) bool {
		hurried(func() {
			for {
				if n, err = unix.Read(int(fd), p); err != unix.EINTR {
					return
				}
			}
		})
		return err != unix.EAGAIN
	})
	switch {
	case waited != nil:
		return 0, waited
	case err != nil:
		return 0, fmt.Errorf("read from %v: %w", c.LocalAddr(), err)
	case n == 0 && len(p) > 0:
		return 0, io.EOF
	}
	return n, nil
}

// hurried calls use and, once that takes longer than patience, interrupts the
// system call it is in, again and again. The signal is the one that the
// runtime sends to its own threads all the time.
func hurried(use func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	process, thread := os.Getpid(), unix.Gettid()
	done := make(chan struct{})
	late := time.AfterFunc(patience, func() {
		for {
			unix.Tgkill(process, thread, unix.SIGURG)
			select {
			case <-done:
				return
			case <-time.After(patience):
			}
		}
	})
	use()
	close(done)
	late.Stop()
}
