//go:build linux

package linux

import (
	"io"
	"net"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"kpm/core"
)

// Whoever is not let in is told so and closed; whoever has gone is passed over;
// neither is returned by Accept.
func TestScreenedCallers(t *testing.T) {
	path := filepath.Join(public(t), "door")
	l, err := Transport{}.ListenDoor(path)
	must(t, err)
	defer l.Close()
	refused := 0
	l.Screen(func(user core.UserID) []byte {
		if user != "0" {
			t.Errorf("asked about user %q", user)
		}
		if refused++; refused == 1 {
			return []byte("not now")
		}
		return nil
	})
	gone, err := net.Dial("unix", path)
	must(t, err)
	must(t, gone.Close())
	unwanted, err := net.Dial("unix", path)
	must(t, err)
	defer unwanted.Close()
	wanted, err := net.Dial("unix", path)
	must(t, err)
	defer wanted.Close()
	conn, err := l.Accept()
	must(t, err)
	defer conn.Close()
	said, err := io.ReadAll(unwanted)
	if err != nil || string(said) != "not now" {
		t.Errorf("whoever is not let in was told %q, %v", said, err)
	}
	must(t, conn.WriteWithFiles([]byte("x")))
	var b [1]byte
	if _, err := io.ReadFull(wanted, b[:]); err != nil || b[0] != 'x' {
		t.Errorf("whoever is let in heard %q, %v", b, err)
	}
}

// Attack: a user who connects and closes as fast as possible has everybody stand
// behind what is in the queue. It is short, and whoever finds it full and waits gets
// in.
func TestTheQueueOfTheDoorIsShort(t *testing.T) {
	path := filepath.Join(public(t), "door")
	l, err := Transport{}.ListenDoor(path)
	must(t, err)
	defer l.Close()
	var waiting []int
	defer func() {
		for _, fd := range waiting {
			unix.Close(fd)
		}
	}()
	for err == nil {
		if len(waiting) > 2*doorQueue {
			t.Fatal("the queue takes more than twice what it is for")
		}
		var fd int
		fd, err = unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
		must(t, err)
		waiting = append(waiting, fd)
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
	}
	if err != unix.EAGAIN {
		t.Fatalf("the queue is full: %v", err)
	}
	patient := make(chan error, 1)
	go func() {
		conn, err := Transport{}.Dial(path)
		if err == nil {
			err = conn.Close()
		}
		patient <- err
	}()
	conn, err := l.Accept()
	must(t, err)
	defer conn.Close()
	must(t, <-patient)
}

// strangers is a machine on which nobody has an account.
type strangers struct{}

func (strangers) Share(core.UserID) core.UserID { return core.Unknown }

// Attack: a user with subordinate ids is many users. What one may have closed
// beside the loop that accepts, they have once: beyond, it is closed at once.
func TestDroppedForStrangersIsOneShare(t *testing.T) {
	l, err := listen(filepath.Join(public(t), "door"), strangers{})
	must(t, err)
	defer l.Close()
	full, err := l.dropped.TryTake(core.Unknown, maxDropped)
	must(t, err)
	defer full.Release()
	for uid := range uint32(3) {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		must(t, err)
		defer unix.Close(pair[0])
		_, err = unix.Write(pair[0], []byte("what may be slow to close"))
		must(t, err)
		l.drop(pair[1], &unix.Ucred{Uid: 100_000 + uid})
		if n := l.dropped.Taken(); n != maxDropped {
			t.Errorf("%d are being closed beside the loop", n)
		}
		// Whoever sent it sees the end already.
		if _, err := unix.SendmsgN(pair[0], []byte("x"), nil, nil, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL); err != unix.EPIPE {
			t.Errorf("the connection of user %d is still there: %v", 100_000+uid, err)
		}
	}
}
