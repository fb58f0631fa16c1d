package caller

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestWhatIsAwaited(t *testing.T) {
	var ends [2]int
	must(t, unix.Pipe2(ends[:], unix.O_CLOEXEC)) // of which both ends wait
	wake := newWakePipe()
	a := newAwaited(ends[0], wake)
	defer a.close()
	if a.raw == nil {
		t.Fatal("a thread has to wait")
	}
	look := func(name string, timeout int, wanted, want int16) {
		t.Helper()
		if got := a.wait(timeout, wanted); got != want {
			t.Errorf("%s: got %#x, want %#x", name, got, want)
		}
	}
	look("nothing is there", 1, unix.POLLIN, 0)
	go func() {
		time.Sleep(time.Millisecond) // while it is waited for
		unix.Write(ends[1], []byte("a"))
	}()
	look("something comes", -1, unix.POLLIN, unix.POLLIN)
	look("it is still there", -1, unix.POLLIN, unix.POLLIN)
	look("nobody wants it", 1, 0, 0)
	wake.wake()
	look("somebody wakes us", -1, 0, 0)
	wake.drain()
	look("it is wanted again", -1, unix.POLLIN, unix.POLLIN)
	if _, err := unix.Read(ends[0], make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	go func() {
		time.Sleep(time.Millisecond)
		unix.Close(ends[1])
	}()
	look("it is hung up", -1, 0, unix.POLLHUP)
	if flags, err := unix.FcntlInt(uintptr(ends[0]), unix.F_GETFL, 0); err != nil || flags&unix.O_NONBLOCK != 0 {
		t.Errorf("its mode has changed: %#x, %v", flags, err)
	}
	unix.Close(ends[0])
}
