//go:build linux

package linux

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/linux/held"
)

// launched starts a program whose end is told and kept.
func launched(t *testing.T, l *Launcher, argv ...string) port.Process {
	t.Helper()
	spec := command(t, argv[0], argv[1:]...)
	spec.Outlives = true
	p, _ := start(t, l, spec)
	return p
}

// How a program has ended is told by its helper, with which Wait agrees once that has
// ended too.
func TestEndsAreTold(t *testing.T) {
	l := newLauncher(t, 1, "")
	for _, tc := range []struct {
		argv []string
		want core.ExitStatus
	}{
		{[]string{"/bin/true"}, core.ExitStatus{}},
		{[]string{"/bin/sh", "-c", "exit 7"}, core.ExitStatus{Code: 7}},
		{[]string{"/bin/sh", "-c", "kill -USR1 $$"}, core.ExitStatus{Signal: int(unix.SIGUSR1)}},
	} {
		p := untilTold(t, l, tc.argv...)
		if got, err := p.End(t.Context()); err != nil || got != tc.want {
			t.Errorf("%q: told %+v, %v; want %+v", tc.argv, got, err, tc.want)
		}
		if got, err := p.Wait(t.Context()); err != nil || got != tc.want {
			t.Errorf("%q: waited for %+v, %v; want %+v", tc.argv, got, err, tc.want)
		}
	}
}

// untilTold starts a program, and returns it when its helper has told how it ended. What a
// helper says is not heard any more when it has been waited for, which on a busy machine
// may be first: then another one is started.
func untilTold(t *testing.T, l *Launcher, argv ...string) port.Process {
	t.Helper()
	for range 100 {
		p := launched(t, l, argv...)
		select {
		case <-p.(*child).told:
			return p
		case <-p.(*child).done:
		}
		if closed(p.(*child).told) {
			return p
		}
	}
	t.Fatalf("%q: no helper has told how it ended", argv)
	return nil
}

// A helper that is killed tells nothing: its program's end is its own.
func TestEndOfAHelperThatIsKilled(t *testing.T) {
	l := newLauncher(t, 1, "")
	p := launched(t, l, "/bin/sleep", "1000")
	must(t, p.Kill())
	if got, err := p.End(t.Context()); err != nil || got != (core.ExitStatus{Signal: int(unix.SIGKILL)}) {
		t.Errorf("%+v, %v", got, err)
	}
}

// Attack: numbers of processes are used again. What the helper before has told is not
// said of a later one, and nothing that is not a helper's word is believed.
func TestWhatIsNotAHelpersWord(t *testing.T) {
	l := newLauncher(t, 1, "")
	p := launched(t, l, "/bin/sleep", "1000")
	defer p.Kill()
	before := p.ID()
	before.Start--
	for _, message := range [][]byte{
		saying(0, endName(before)), saying(0, ""), saying(0, "x"), saying(0, endName(p.ID())+"0"), saying(0, endName(p.ID()))[1:],
	} {
		must(t, unix.Send(l.endings.theirs, message, 0))
	}
	// They are read in order: when this one is heard, so were those.
	other := launched(t, l, "/bin/true")
	_, err := other.End(t.Context())
	must(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if got, err := p.End(ctx); err == nil {
		t.Errorf("it has ended: %+v", got)
	}
	must(t, unix.Send(l.endings.theirs, saying(3<<8, endName(p.ID())), 0))
	must(t, unix.Send(l.endings.theirs, saying(4<<8, endName(p.ID())), 0))
	if got, err := p.End(t.Context()); err != nil || got.Code != 3 {
		t.Errorf("%+v, %v; want the first word", got, err)
	}
}

// Attack: whoever traces a process that has become theirs, before its exec, says by its
// descriptor that other people's programs have ended.
func TestWhatBecomesAProgramCannotTell(t *testing.T) {
	l := newLauncher(t, 1, "")
	var st unix.Stat_t
	must(t, unix.Fstat(l.endings.theirs, &st))
	socket := fmt.Sprintf("socket:[%d]", st.Ino)
	spec := command(t, "/bin/true")
	spec.Outlives = true
	c, err := l.Prepare(t.Context(), spec)
	must(t, err)
	defer c.Discard()
	holds := func(pid int) bool {
		held := false
		list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
		must(t, err)
		for _, fd := range list {
			link, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", pid, fd.Name()))
			held = held || link == socket
		}
		return held
	}
	eventually(t, "what waits to become the program does not hold it", func() bool {
		for _, pid := range allPids() {
			if st, ok := readStat(pid); ok && st.parent == c.ID().PID {
				return !holds(pid)
			}
		}
		return false
	})
	if !holds(c.ID().PID) {
		t.Error("its helper does not hold it either")
	}
}

func closed(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// saying is what a helper of that name says.
func saying(status syscall.WaitStatus, name string) []byte {
	b := make([]byte, held.ToldSize)
	binary.NativeEndian.PutUint32(b, uint32(status))
	copy(b[4:], name)
	return b
}
