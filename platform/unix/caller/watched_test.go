//go:build linux

package caller

import (
	"errors"
	"io"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core/door"
)

// watched is started with a helper that watches the command, whose end of the
// connection is returned as well.
func (v *visitor) watched() (command *os.File, helper net.Conn) {
	v.t.Helper()
	master, slave := pair(v.t, "0", v.request.Rows, v.request.Columns)
	v.t.Cleanup(func() { slave.Close() })
	ends, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(v.t, err)
	theirs, ours := os.NewFile(uintptr(ends[0]), "theirs"), os.NewFile(uintptr(ends[1]), "ours")
	helper, err = net.FileConn(ours)
	must(v.t, errors.Join(err, ours.Close()))
	v.t.Cleanup(func() { helper.Close() })
	v.send(door.TypeTerminal, nil, master, theirs)
	v.send(door.TypeStarted, nil)
	must(v.t, errors.Join(master.Close(), theirs.Close()))
	return slave, helper
}

// asked is what the helper is asked next.
func (v *visitor) asked(helper net.Conn) string {
	v.t.Helper()
	var b [1]byte
	must(v.t, helper.SetReadDeadline(time.Now().Add(20*time.Second)))
	_, err := io.ReadFull(helper, b[:])
	must(v.t, err)
	return string(b[:])
}

// saysStopped is what the helper says of a command that a signal has stopped.
func (v *visitor) saysStopped(helper net.Conn, by unix.Signal) {
	v.t.Helper()
	_, err := helper.Write([]byte{byte(by)})
	must(v.t, err)
}
