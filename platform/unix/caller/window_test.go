//go:build linux

package caller

import (
	"bytes"
	"errors"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// window is a terminal emulator with a person in front of it.
type window struct {
	t      testing.TB
	master *os.File
	slave  *os.File

	mu     sync.Mutex
	screen bytes.Buffer
	closed chan struct{}
}

func newWindow(t testing.TB) *window {
	t.Helper()
	master, slave := pair(t, "4242", 30, 90)
	// So that a read of the screen can be ended.
	fd, err := unix.FcntlInt(master.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	must(t, err)
	must(t, unix.SetNonblock(fd, true))
	w := &window{t: t, master: os.NewFile(uintptr(fd), "window"), slave: slave, closed: make(chan struct{})}
	must(t, master.Close())
	go w.show()
	t.Cleanup(func() { slave.Close(); w.master.Close(); <-w.closed })
	return w
}

func (w *window) show() {
	defer close(w.closed)
	buf := make([]byte, 64<<10)
	for {
		n, err := w.master.Read(buf)
		w.mu.Lock()
		w.screen.Write(buf[:n])
		w.mu.Unlock()
		if err != nil && !errors.Is(err, unix.EIO) {
			return
		}
		if err != nil {
			time.Sleep(time.Millisecond) // nobody has it open
		}
		if w.master.SetDeadline(time.Time{}) != nil {
			return
		}
	}
}

func (w *window) text() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.screen.String()
}

// see waits for s on the screen.
func (w *window) see(s string) {
	w.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(w.text(), s); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.t.Fatalf("%q never appeared; the screen has %.2000q", s, w.text())
		}
	}
}

func (w *window) press(keys string) {
	w.t.Helper()
	_, err := w.master.WriteString(keys)
	must(w.t, err)
}

// arrived waits until n typed bytes have come to the other side: the kernel
// carries them there on a thread of its own.
func (w *window) arrived(n int) {
	w.t.Helper()
	eventually(w.t, "what was typed has arrived", func() bool {
		there, err := unix.IoctlGetInt(int(w.slave.Fd()), unix.TIOCINQ)
		must(w.t, err)
		return there >= n
	})
}

func (w *window) modes() *unix.Termios { return modes(w.t, w.slave) }

func modes(t testing.TB, f *os.File) *unix.Termios {
	t.Helper()
	s, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	must(t, err)
	return s
}

func (w *window) isRaw() bool { return w.modes().Lflag&(unix.ICANON|unix.ECHO|unix.ISIG) == 0 }

func (w *window) untilRaw(want bool) {
	w.t.Helper()
	eventually(w.t, "the terminal is raw: "+strconv.FormatBool(want), func() bool { return w.isRaw() == want })
}
