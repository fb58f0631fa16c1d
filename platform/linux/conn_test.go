//go:build linux

package linux

import (
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// lingering returns a TCP socket whose close waits for an hour: its data is not
// taken by the other end.
func lingering(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	at := l.Addr().(*net.TCPAddr)
	must(t, unix.Connect(fd, &unix.SockaddrInet4{Addr: [4]byte(at.IP.To4()), Port: at.Port}))
	other, err := l.Accept()
	must(t, err)
	t.Cleanup(func() { other.Close() })
	must(t, unix.SetNonblock(fd, true))
	for data := make([]byte, 64<<10); ; {
		if _, err := unix.Write(fd, data); errors.Is(err, unix.EAGAIN) {
			break
		}
	}
	must(t, unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1, Linger: 3600}))
	return fd
}

// A caller sends sockets that linger, keeps none of them, and never says what
// they are for. Whoever refuses that caller does not wait for it.
func TestCloseDoesNotWaitForWhatWasSentAlong(t *testing.T) {
	client, conn := connect(t)
	for range 3 { // in messages of their own: one wait must not follow the other
		fd := lingering(t)
		_, _, err := client.WriteMsgUnix([]byte("x"), unix.UnixRights(fd), nil)
		must(t, errors.Join(err, unix.Close(fd)))
	}
	closed := make(chan error)
	go func() { closed <- conn.Close() }()
	select {
	case err := <-closed:
		must(t, err)
	case <-time.After(20 * time.Second):
		t.Fatal("the close waits for a socket of the caller's")
	}
	if _, err := client.Write([]byte("x")); !errors.Is(err, unix.EPIPE) {
		t.Errorf("the caller writes on: %v", err)
	}
	if err := conn.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed twice: %v", err)
	}
}

// The local sockets of the broker and the API take no descriptors, or drop them
// where the kernel cannot refuse them; neither keeps their server waiting.
func TestLocalSocketsTakeNoDescriptors(t *testing.T) {
	path := filepath.Join(public(t), "local.sock")
	l, err := Transport{}.ListenLocal(path)
	must(t, err)
	defer l.Close()
	dialled, err := Transport{}.Dial(path)
	must(t, err)
	defer dialled.Close()
	client := dialled.(*net.UnixConn)
	conn, err := l.Accept()
	must(t, err)
	fd := lingering(t)
	_, _, sent := client.WriteMsgUnix([]byte("x"), unix.UnixRights(fd), nil)
	if kernelRefuses(t) != errors.Is(sent, unix.EPERM) {
		t.Errorf("sending a descriptor: %v", sent)
	}
	if sent != nil {
		_, sent = client.Write([]byte("x"))
	}
	must(t, errors.Join(sent, unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{}), unix.Close(fd)))
	before := openDescriptors(t)
	if n, err := conn.Read(make([]byte, 8)); n != 1 || err != nil {
		t.Errorf("read %d bytes, %v", n, err)
	}
	if now := openDescriptors(t); now != before {
		t.Errorf("%d descriptors are open, %d before", now, before)
	}
	must(t, conn.Close())
}

// As on a kernel that cannot refuse them.
func TestReadDoesNotWaitForWhatItDrops(t *testing.T) {
	path := filepath.Join(public(t), "local.sock")
	l, err := listen(path, nil)
	must(t, err)
	l.dropping = true
	defer l.Close()
	client, err := Transport{}.Dial(path)
	must(t, err)
	conn, err := l.Accept()
	must(t, err)
	before := openDescriptors(t)
	for range 3 {
		fd := lingering(t)
		_, _, err := client.(*net.UnixConn).WriteMsgUnix([]byte("xyz"), unix.UnixRights(fd), nil)
		must(t, errors.Join(err, unix.Close(fd)))
	}
	read := make(chan string)
	go func() {
		defer close(read)
		for buf := make([]byte, 2); ; {
			n, err := conn.Read(buf)
			if err != nil {
				read <- err.Error()
				return
			}
			read <- string(buf[:n])
		}
	}()
	next := func() string {
		t.Helper()
		select {
		case s := <-read:
			return s
		case <-time.After(20 * time.Second):
			t.Fatal("a read waits for a socket of the caller's")
		}
		return ""
	}
	for got := ""; len(got) < 9; {
		if got += next(); got != "xyzxyzxyz"[:len(got)] {
			t.Fatalf("read %q", got)
		}
	}
	if now := openDescriptors(t); now != before+6 { // the other ends of the lingering sockets, and their listeners
		t.Errorf("%d descriptors are open, %d before", now, before)
	}
	must(t, conn.SetReadDeadline(time.Now()))
	if got := next(); !strings.Contains(got, "timeout") {
		t.Errorf("after its deadline: %s", got)
	}
	<-read
	must(t, errors.Join(conn.SetReadDeadline(time.Time{}), client.Close()))
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("at the end: %d, %v", n, err)
	}
	must(t, conn.Close())
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed: %v", err)
	}
}

// kernelRefuses reports whether this kernel can be told to take no descriptors.
func kernelRefuses(t *testing.T) bool {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	must(t, err)
	defer unix.Close(fd)
	return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSRIGHTS, 0) == nil
}
