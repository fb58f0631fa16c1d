//go:build linux || darwin

package caller

import (
	"errors"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"

	port "kpm/core/port/caller"
)

// connection implements port.Service with a unix socket. Whoever waits for it
// waits in the runtime's poller, as does whoever waits for signals: a thread that
// waits in a system call of its own keeps the processor from the other until the
// runtime looks after it.
type connection struct {
	fd     int      // of socket
	socket *os.File // nil until there is a connection
	files  []int    // received, not taken yet

	asked    bool   // the request was sent before the connection was ours: on Linux (goOn)
	received []byte // and this was received
}

var _ port.Service = (*connection)(nil)

// use takes the place of a connection that was there before.
func (c *connection) use(fd int) error {
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return err
	}
	if c.socket != nil {
		c.socket.Close()
	}
	c.fd, c.socket = fd, os.NewFile(uintptr(fd), "service")
	c.asked, c.received = false, nil
	return nil
}

// Send implements port.Service.
func (c *connection) Send(frame []byte, handles ...uintptr) error {
	if c.asked { // the first is the request
		c.asked = false
		return nil
	}
	var rights []byte
	if len(handles) > 0 {
		files := make([]int, len(handles))
		for i, handle := range handles {
			files[i] = int(handle)
		}
		rights = unix.UnixRights(files...)
	}
	raw, err := c.socket.SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	err = raw.Write(func(fd uintptr) bool {
		for len(frame) > 0 && sent == nil {
			n, err := unix.SendmsgN(int(fd), frame, rights, nil, sendFlags)
			switch err {
			case nil:
				frame, rights = frame[n:], nil
			case unix.EAGAIN:
				return false
			case unix.EINTR:
			default:
				sent = err
			}
		}
		return true
	})
	if err != nil {
		return err
	}
	return sent
}

// Read implements port.Service and keeps the descriptors that come along.
func (c *connection) Read(p []byte) (int, error) {
	if len(c.received) > 0 {
		n := copy(p, c.received)
		c.received = c.received[n:]
		return n, nil
	}
	var oob [64]byte
	raw, err := c.socket.SyscallConn()
	if err != nil {
		return 0, err
	}
	var n, oobn int
	var received error
	err = raw.Read(func(fd uintptr) bool {
		for received = unix.EINTR; received == unix.EINTR; {
			n, oobn, _, _, received = unix.Recvmsg(int(fd), p, oob[:], receiveFlags)
		}
		return received != unix.EAGAIN
	})
	switch {
	case err != nil:
		return 0, err
	case received != nil:
		return 0, received
	case n == 0 && len(p) > 0:
		return 0, io.EOF
	}
	if oobn > 0 {
		c.keep(oob[:oobn])
	}
	return n, nil
}

func (c *connection) keep(oob []byte) {
	messages, _ := unix.ParseSocketControlMessage(oob)
	for i := range messages {
		if files, err := unix.ParseUnixRights(&messages[i]); err == nil {
			for _, file := range files {
				unix.CloseOnExec(file) // macOS has no flag for it
			}
			c.files = append(c.files, files...)
		}
	}
}

// takeFiles returns the descriptors that came with the last frame.
func (c *connection) takeFiles() []int {
	files := c.files
	c.files = nil
	return files
}

// notRunning is that err keeps us from the door of root, which lies in the
// directory run.
//
// A service that stops or starts changes that directory. One that was ended the
// hard way leaves a door that nobody listens at, and who runs the machine has it
// started again at once, if anybody does.
func notRunning(root, run string, err error) error {
	if err == unix.EACCES || err == unix.EPERM { // that says nothing about the service
		return errors.New("the service of " + root + " cannot be reached (" + err.Error() +
			"); ask whoever runs this machine for access to that directory")
	}
	absent := &port.Absent{Reason: "the service of " + root + " is not running (" + err.Error() +
		"); start it, or tell whoever runs this machine"}
	if err == unix.ECONNREFUSED {
		absent.Seen = time.Now()
		return absent
	}
	var st unix.Stat_t
	if unix.Lstat(run, &st) == nil {
		absent.Seen = time.Unix(st.Mtim.Unix())
	}
	return absent
}
