//go:build linux

package caller

import (
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kpm/core/door"
)

// cmd | keepersudo less: what is piped passes by, and the pager reads keys from
// its terminal. Until it asks for them they are not taken.
func TestBorrowedKeys(t *testing.T) {
	a, w := newAgent(t), newWindow(t)
	s := a.command(t, "less").at(w)
	// The controlling terminal is then not descriptor 0.
	s.Stdin, s.SysProcAttr.Ctty = strings.NewReader("piped"), 1
	s.begin()
	v := a.accept(t)
	if !v.request.Terminal || !v.request.Background || v.request.Apart != [3]uint8{} {
		t.Errorf("asked for %+v", v.request)
	}
	if got := read(t, v.files[1], 5); got != "piped" {
		t.Errorf("arrived %q", got)
	}
	command, helper := v.watched()
	_, err := command.WriteString("shown")
	must(t, err)
	w.see("shown")
	if w.isRaw() {
		t.Error("raw before the command wants keys")
	}
	v.saysStopped(helper, unix.SIGTTOU)
	if got := v.asked(helper); got != "f" {
		t.Errorf("asked for %q", got)
	}
	w.untilRaw(true)
	makeRaw(t, command) // before: the terminal would take the second key for itself
	w.press("q\x03")
	if got := read(t, command, 2); got != "q\x03" {
		t.Errorf("arrived %q", got)
	}
	must(t, command.Close())
	v.exit(0)
	s.want(0)
	w.untilRaw(false)
}

// Descriptors that are another terminal have one of their own.
func TestAnotherTerminal(t *testing.T) {
	a, w, other := newAgent(t), newWindow(t), newWindow(t)
	s := a.command(t, "id").at(w)
	s.Stderr = other.slave
	s.begin()
	v := a.accept(t)
	if !v.request.Terminal || v.request.Background || v.request.Apart != [3]uint8{0, 0, 1} {
		t.Errorf("asked for %+v", v.request)
	}
	master, command := pair(t, "0", 24, 80)
	master2, stderr := pair(t, "0", 24, 80)
	control, unused, err := os.Pipe()
	must(t, err)
	defer unused.Close()
	v.send(door.TypeTerminal, nil, master, control, master2)
	v.send(door.TypeStarted, nil)
	must(t, errors.Join(master.Close(), master2.Close(), control.Close()))
	_, err = command.WriteString("here")
	must(t, err)
	_, err = stderr.WriteString("there")
	must(t, err)
	w.see("here")
	other.see("there")
	if w.text() != "here" || other.text() != "there" {
		t.Errorf("shown %q, and on the other %q", w.text(), other.text())
	}
	setSize(t, other.slave, 50, 132)
	must(t, s.Process.Signal(unix.SIGWINCH)) // of the one that it controls
	eventually(t, "the size has followed", func() bool { return size(t, stderr) == [2]uint16{50, 132} })
	must(t, errors.Join(command.Close(), stderr.Close()))
	v.exit(0)
	s.want(0)
}

// Of two in one job one at a time has the keyboard, and the terminal is left as
// it was.
func TestTakingTurns(t *testing.T) {
	a, w := newAgent(t), newWindow(t)
	before := *w.modes()
	s := a.command(t, "id").at(w)
	s.startedBy("pair")
	s.begin()
	var visitors []*visitor
	var commands []*os.File
	for range 2 {
		v := a.accept(t)
		visitors, commands = append(visitors, v), append(commands, v.started())
		w.untilRaw(true)
	}
	// Whose turn it is, is the first one's; what is typed is theirs.
	w.press("1")
	if got := read(t, rawed(t, commands[0]), 1); got != "1" {
		t.Errorf("arrived %q", got)
	}
	must(t, commands[0].Close())
	visitors[0].exit(0)
	visitors[0].gone()
	w.untilRaw(true)
	w.press("2")
	if got := read(t, rawed(t, commands[1]), 1); got != "2" {
		t.Errorf("arrived %q", got)
	}
	must(t, commands[1].Close())
	visitors[1].exit(0)
	s.want(0)
	if after := *w.modes(); after != before {
		t.Errorf("settings before %+v, after %+v", before, after)
	}
}

func rawed(t testing.TB, f *os.File) *os.File {
	makeRaw(t, f)
	return f
}
