package pipe

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
)

func listen(t *testing.T) (*Listener, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "door.sock")
	l, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l, path
}

// Bytes go both ways, and the end of one side is the end of file of the other.
func TestConnection(t *testing.T) {
	l, path := listen(t)
	client, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	large := bytes.Repeat([]byte("0123456789abcdef"), 20<<10)
	var echo sync.WaitGroup
	echo.Go(func() {
		io.CopyN(server, server, int64(len(large)))
		server.Close()
	})
	go client.Write(large)
	got, err := io.ReadAll(client)
	if err != nil || !bytes.Equal(got, large) {
		t.Errorf("%d bytes came back, %v; expected %d", len(got), err, len(large))
	}
	echo.Wait()
	if _, err := server.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("a read after Close: %v", err)
	}
	client.Close()
}

// A deadline ends a read and a write that nobody takes, as net's.
func TestDeadlines(t *testing.T) {
	l, path := listen(t)
	client, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	server.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	_, err = server.Read(make([]byte, 1))
	var netErr net.Error
	if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &netErr) || !netErr.Timeout() {
		t.Errorf("read: %v", err)
	}
	server.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
	if _, err = server.Write(make([]byte, 8<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("write: %v", err)
	}
}

// More clients than instances wait at once, and none is turned away.
func TestManyAtOnce(t *testing.T) {
	l, path := listen(t)
	const clients = 3 * backlog
	var dialled, served sync.WaitGroup
	for range clients {
		dialled.Go(func() {
			c, err := Dial(t.Context(), path)
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			if got, err := io.ReadAll(c); err != nil || string(got) != "hello" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	for range clients {
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		served.Go(func() {
			c.Write([]byte("hello"))
			c.Close()
		})
	}
	dialled.Wait()
	served.Wait()
}

// Close ends a wait, and the name goes with it.
func TestClose(t *testing.T) {
	l, path := listen(t)
	ended := make(chan error, 1)
	go func() {
		_, err := l.Accept()
		ended <- err
	}()
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if err := <-ended; !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept: %v", err)
	}
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Accept after Close: %v", err)
	}
	if _, err := Dial(t.Context(), path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Dial after Close: %v", err)
	}
	if err := os.WriteFile(path, []byte(l.name+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Dial(t.Context(), path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Dial a name of nobody's: %v", err)
	}
}

// A second listener at the same path takes clients over; the first one's end
// does not take its name away.
func TestTheNextListenerIsFound(t *testing.T) {
	first, path := listen(t)
	second, err := Listen(path)
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	client, err := Dial(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	server, err := second.Accept()
	if err != nil {
		t.Fatal(err)
	}
	server.Close()
}

// Who waits for a free instance stops when it is told to.
func TestDialGivesUp(t *testing.T) {
	_, path := listen(t) // which accepts nobody
	for range backlog {
		c, err := Dial(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := Dial(ctx, path); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

// Attack: a user's program listens, and a file of theirs leads there. It cannot
// have administrators own its pipe.
func TestAnImpostorIsRefused(t *testing.T) {
	name := newName()
	wide, err := windows.UTF16PtrFromString(name)
	if err != nil {
		t.Fatal(err)
	}
	descriptor, err := windows.SecurityDescriptorFromString("O:WDG:WDD:(A;;GA;;;WD)")
	if err != nil {
		t.Fatal(err)
	}
	security := windows.SecurityAttributes{Length: uint32(unsafe.Sizeof(windows.SecurityAttributes{})), SecurityDescriptor: descriptor}
	pipe, err := windows.CreateNamedPipe(wide, windows.PIPE_ACCESS_DUPLEX, windows.PIPE_TYPE_BYTE, 1, 512, 512, 0, &security)
	if err != nil {
		t.Fatal(err)
	}
	defer windows.CloseHandle(pipe)
	path := filepath.Join(t.TempDir(), "door.sock")
	if err := os.WriteFile(path, []byte(name+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Dial(t.Context(), path); !errors.Is(err, ErrImpostor) {
		t.Errorf("%v", err)
	}
}

// The descriptor gives nobody but administrators more than to speak and to
// listen: no instance of the pipe, no new owner, no other list.
func TestSecurity(t *testing.T) {
	descriptor, err := windows.SecurityDescriptorFromString(Security)
	if err != nil {
		t.Fatal(err)
	}
	if owner, _, err := descriptor.Owner(); err != nil || !owner.IsWellKnown(windows.WinBuiltinAdministratorsSid) {
		t.Errorf("owner %s, %v", owner, err)
	}
	control, _, err := descriptor.Control()
	if err != nil || control&windows.SE_DACL_PROTECTED == 0 {
		t.Errorf("control %x, %v: something may be inherited", control, err)
	}
	acl, _, err := descriptor.DACL()
	if err != nil || acl == nil {
		t.Fatalf("list %v, %v", acl, err)
	}
	rights := map[string]windows.ACCESS_MASK{}
	for i := range uint32(acl.AceCount) {
		var ace *windows.ACCESS_ALLOWED_ACE
		if err := windows.GetAce(acl, i, &ace); err != nil {
			t.Fatal(err)
		}
		if ace.Header.AceType != windows.ACCESS_ALLOWED_ACE_TYPE || ace.Header.AceFlags != 0 {
			t.Errorf("entry %d: %+v", i, ace.Header)
		}
		rights[(*windows.SID)(unsafe.Pointer(&ace.SidStart)).String()] = ace.Mask
	}
	const system, administrators, people = "S-1-5-18", "S-1-5-32-544", "S-1-5-11"
	if len(rights) != 3 || rights[system] == 0 || rights[administrators] == 0 {
		t.Errorf("%v", rights)
	}
	const changes = createInstance | windows.DELETE | windows.WRITE_DAC | windows.WRITE_OWNER | windows.GENERIC_ALL | windows.GENERIC_WRITE | windows.MAXIMUM_ALLOWED
	if mask := rights[people]; mask&changes != 0 || mask != clientAccess {
		t.Errorf("people have %x", mask)
	}
}
