//go:build linux

package caller

import (
	"io"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// On a busy machine the last output of a command may lie there for longer than
// the silence that ends the wait: it is shown all the same.
func TestOutputThatLiesThereIsWaitedFor(t *testing.T) {
	master, slave := pair(t, "0", 24, 80)
	defer master.Close()
	screen, shown, err := os.Pipe()
	must(t, err)
	defer screen.Close()
	_, err = slave.WriteString("hello Ada\n")
	must(t, err)
	fd, err := unix.Dup(int(master.Fd()))
	must(t, err)
	defer unix.Close(fd)
	c := &terminal{master: fd, control: -1, in: -1, out: int(shown.Fd()), turn: turn{-1}, drained: make(chan struct{})}
	done := make(chan struct{})
	go func() { c.drain(time.Millisecond); close(done) }()
	select {
	case <-done:
		t.Error("given up with output unread")
	case <-time.After(50 * time.Millisecond): // fifty silences
	}
	go c.output()
	<-done
	must(t, slave.Close())
	<-c.drained
	must(t, shown.Close())
	if text, err := io.ReadAll(screen); err != nil || string(text) != "hello Ada\r\n" {
		t.Errorf("shown %q, %v", text, err)
	}
}
