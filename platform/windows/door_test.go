//go:build windows

package windows

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/windows"

	"kpm/core"
	"kpm/platform/windows/pipe"
)

// folder is a folder on drive C that only administrators can change.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp(`C:\`, "kpm-test-")
	must(t, err)
	must(t, os.Chmod(dir, 0o755))
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// called is a caller at a door, this process, and the service's end.
func called(t *testing.T) (caller *pipe.Conn, service *doorConn) {
	t.Helper()
	path := filepath.Join(folder(t), "door.sock")
	l, err := Transport{}.ListenDoor(path)
	must(t, err)
	t.Cleanup(func() { must(t, l.Close()) })
	caller, err = pipe.Dial(t.Context(), path)
	must(t, err)
	conn, err := l.Accept()
	must(t, err)
	t.Cleanup(func() {
		caller.Close()
		conn.Close()
	})
	return caller, conn.(*doorConn)
}

// The kernel says who calls: a process of this user's, with its groups and
// session.
func TestACallerIsKnown(t *testing.T) {
	_, service := called(t)
	user, err := service.User()
	must(t, err)
	peer, err := service.Peer()
	must(t, err)
	self := NewTree().Self()
	if me := own().Account.User; user != me || peer.User != me || peer.Login != me {
		t.Errorf("%s calls, as %+v; expected %s", user, peer, me)
	}
	if len(peer.Processes) != 1 || peer.Processes[0] != self || !peer.SameIdentity {
		t.Errorf("%+v, expected the process %s", peer, self)
	}
	if len(peer.Groups) == 0 || peer.Session == "" || peer.Confined != "" || peer.Foreign {
		t.Errorf("%+v", peer)
	}
	if _, err := service.client(); err != nil {
		t.Error(err)
	}
}

// What a caller hands over is taken out of its handle table, and what it is handed
// lies there.
func TestHandlesGoBothWays(t *testing.T) {
	caller, service := called(t)
	theirs := filepath.Join(t.TempDir(), "theirs")
	must(t, os.WriteFile(theirs, []byte("bytes of the caller's"), 0o600))
	file, err := os.Open(theirs)
	must(t, err)
	defer file.Close()
	_, err = caller.Write(pipe.AppendPiece(nil, []byte("a frame"), uint64(file.Fd())))
	must(t, err)

	buffer := make([]byte, 3)
	n, files, err := service.ReadWithFiles(buffer)
	if err != nil || string(buffer[:n]) != "a f" || len(files) != 1 {
		t.Fatalf("%q, %d files, %v", buffer[:n], len(files), err)
	}
	defer files[0].Close()
	if got, err := io.ReadAll(files[0]); err != nil || string(got) != "bytes of the caller's" {
		t.Errorf("%q, %v", got, err)
	}
	buffer = make([]byte, 64)
	if n, files, err = service.ReadWithFiles(buffer); err != nil || string(buffer[:n]) != "rame" || len(files) != 0 {
		t.Errorf("%q, %d files, %v", buffer[:n], len(files), err)
	}

	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	must(t, service.WriteWithFiles([]byte("started"), w))
	w.Close()
	piece, err := pipe.ReadPiece(caller)
	if err != nil || piece.Size != len("started") || len(piece.Handles) != 1 {
		t.Fatalf("%+v, %v", piece, err)
	}
	given := os.NewFile(uintptr(piece.Handles[0]), "given")
	_, err = given.Write([]byte("through the handle"))
	must(t, err)
	given.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != "through the handle" {
		t.Errorf("%q, %v", got, err)
	}
}

// Attack: what the caller names is no file, or one that the service must not touch.
func TestHandlesThatAreRefused(t *testing.T) {
	event, err := windows.CreateEvent(nil, 1, 0, nil)
	must(t, err)
	defer windows.CloseHandle(event)
	file, err := os.Open(helperPath())
	must(t, err)
	defer file.Close()
	overlapped, _ := called(t)
	var asynchronous uint64
	must(t, overlapped.Control(func(h windows.Handle) error {
		asynchronous = uint64(h)
		return nil
	}))
	for name, handle := range map[string]uint64{
		"none": 0, "the process itself": 1<<64 - 1, "the thread itself": 1<<64 - 2, "an odd number": uint64(file.Fd()) + 1,
		"beyond every table": 1 << 40, "a handle that is not there": 1 << 20, "an event": uint64(event),
		"what is read without waiting": asynchronous,
	} {
		caller, service := called(t)
		_, err := caller.Write(pipe.AppendPiece(nil, []byte("x"), uint64(file.Fd()), handle))
		must(t, err)
		if n, files, err := service.ReadWithFiles(make([]byte, 8)); err == nil || n != 0 || len(files) != 0 {
			t.Errorf("%s: %d bytes, %d files, %v", name, n, len(files), err)
		}
	}
}

// What is no piece ends the conversation, and one that is cut short is an error.
func TestPiecesThatAreRefused(t *testing.T) {
	caller, service := called(t)
	_, err := caller.Write(bytes.Repeat([]byte{0xff}, 64))
	must(t, err)
	if _, _, err := service.ReadWithFiles(make([]byte, 8)); !errors.Is(err, pipe.ErrPiece) {
		t.Errorf("%v", err)
	}
	caller, service = called(t)
	piece := pipe.AppendPiece(nil, []byte("whole"))
	_, err = caller.Write(piece[:len(piece)-2])
	must(t, err)
	must(t, caller.Close())
	if got, err := io.ReadAll(service); string(got) != "who" || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%q, %v", got, err)
	}
}

// A connection from somebody who is told that there is no room is not accepted.
func TestScreen(t *testing.T) {
	path := filepath.Join(folder(t), "door.sock")
	l, err := Transport{}.ListenDoor(path)
	must(t, err)
	var asked []core.UserID
	l.Screen(func(user core.UserID) []byte {
		asked = append(asked, user)
		if len(asked) == 1 {
			return []byte("no room")
		}
		return nil
	})
	accepted := make(chan net.Conn, 1)
	go func() {
		c, err := l.Accept()
		if err != nil {
			t.Error(err)
		}
		accepted <- c
	}()
	refused, err := pipe.Dial(t.Context(), path)
	must(t, err)
	if got, err := io.ReadAll(refused); string(got) != "no room" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	refused.Close()
	let, err := pipe.Dial(t.Context(), path)
	must(t, err)
	(<-accepted).Close()
	let.Close()
	must(t, l.Close())
	if len(asked) != 2 || asked[0] != own().Account.User {
		t.Errorf("asked about %v", asked)
	}
}

// A folder that others can change is no place to say where the service listens.
func TestDoorInAnOpenFolder(t *testing.T) {
	dir := folder(t)
	must(t, os.Chmod(dir, 0o777))
	open := filepath.Join(dir, "open")
	must(t, os.Mkdir(open, 0o777))
	everybodyMay(t, open)
	for _, listen := range []func(string) error{
		func(path string) error { _, err := Transport{}.ListenDoor(path); return err },
		func(path string) error { _, err := Transport{}.ListenLocal(path); return err },
	} {
		if err := listen(filepath.Join(open, "door.sock")); !errors.Is(err, core.ErrNotProtected) {
			t.Errorf("%v", err)
		}
	}
}

// everybodyMay gives everybody all rights on a file or folder.
func everybodyMay(t *testing.T, path string) {
	t.Helper()
	descriptor, err := windows.SecurityDescriptorFromString("D:P(A;OICI;FA;;;WD)")
	must(t, err)
	list, _, err := descriptor.DACL()
	must(t, err)
	must(t, windows.SetNamedSecurityInfo(path, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, list, nil))
}

// Clients of local sockets and of loopback TCP are identified alike.
func TestPeers(t *testing.T) {
	path := filepath.Join(folder(t), "api.sock")
	local, err := Transport{}.ListenLocal(path)
	must(t, err)
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	tcp6, err := net.Listen("tcp", "[::1]:0")
	must(t, err)
	for name, c := range map[string]struct {
		listener net.Listener
		dial     func() (net.Conn, error)
	}{
		"local socket": {local, func() (net.Conn, error) { return Transport{}.Dial(path) }},
		"IPv4":         {tcp, func() (net.Conn, error) { return net.Dial("tcp", tcp.Addr().String()) }},
		"IPv6":         {tcp6, func() (net.Conn, error) { return net.Dial("tcp", tcp6.Addr().String()) }},
	} {
		client, err := c.dial()
		must(t, err)
		conn, err := c.listener.Accept()
		must(t, err)
		peer, err := Peers{}.Peer(conn)
		if err != nil || peer.User != own().Account.User || len(peer.Processes) != 1 || peer.Processes[0] != NewTree().Self() || !peer.SameIdentity {
			t.Errorf("%s: %+v, %v", name, peer, err)
		}
		if user, err := (Peers{}).User(conn); err != nil || user != peer.User {
			t.Errorf("%s: user %s, %v", name, user, err)
		}
		client.Close()
		conn.Close()
		must(t, c.listener.Close())
	}
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if _, err := (Peers{}).Peer(a); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("another kind of connection: %v", err)
	}
}

// A client that has gone is nobody.
func TestAPeerThatHasGone(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	must(t, err)
	conn, err := l.Accept()
	must(t, err)
	defer conn.Close()
	client.(*net.TCPConn).SetLinger(0)
	must(t, client.Close())
	conn.SetReadDeadline(time.Now().Add(time.Minute))
	conn.Read(make([]byte, 1))
	if peer, err := (Peers{}).Peer(conn); err == nil {
		t.Errorf("%+v", peer)
	}
}

// Who has a port is found, for a message about it.
func TestListener(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	port := l.Addr().(*net.TCPAddr).Port
	if pid, user, err := (Peers{}).Listener(port); err != nil || pid != os.Getpid() || user != own().Account.User {
		t.Errorf("%d, %s, %v", pid, user, err)
	}
	must(t, l.Close())
	if pid, _, err := (Peers{}).Listener(port); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after its end: %d, %v", pid, err)
	}
}
