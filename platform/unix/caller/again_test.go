//go:build linux

package caller

import (
	"testing"

	"golang.org/x/sys/unix"

	"kpm/core/door"
)

// again waits until a visitor whose connection was closed, as by a service that
// is restarted, has come back with the same request.
func (v *visitor) again(a *agent) *visitor {
	v.t.Helper()
	v.letGo()
	must(v.t, v.conn.Close())
	next := a.accept(v.t)
	if next.request.Key != v.request.Key || next.request.Running || len(next.files) != len(v.files) {
		v.t.Errorf("came back with %+v and %d files, before %+v and %d", next.request, len(next.files), v.request, len(v.files))
	}
	return next
}

func TestItAsksAgain(t *testing.T) {
	a := newAgent(t)
	s := a.command(t, "/bin/id", "-u").begin()
	v := a.accept(t)
	first := v.request.Key
	for range 2 {
		v = v.again(a)
	}
	v.exit(3)
	s.want(3)
	s = a.command(t, "id").begin()
	v = a.accept(t)
	if v.request.Key == first || first == (door.Key{}) {
		t.Error("two have one key")
	}
	v.exit(0)
	s.want(0)
}

// While the service is away the command's terminal works, and what it writes at
// its end is shown whole.
func TestTheTerminalStaysWhileTheServiceIsAway(t *testing.T) {
	a, w := newAgent(t), newWindow(t)
	before := *w.modes()
	s := a.command(t, "id").at(w).begin()
	v := a.accept(t)
	command := v.started()
	w.untilRaw(true)
	for range 2 { // its service is restarted twice
		v.letGo()
		must(t, v.conn.Close())
		w.press("x\r")
		var b [16]byte
		n, err := command.Read(b[:])
		if err != nil || string(b[:n]) != "x\n" {
			t.Fatalf("the command read %q, %v", b[:n], err)
		}
		if _, err := command.WriteString("still here\n"); err != nil {
			t.Fatal(err)
		}
		w.see("still here\r\n")
		next := a.accept(t)
		if next.request.Key != v.request.Key || !next.request.Running {
			t.Errorf("came back with %+v", next.request)
		}
		v = next
		v.send(door.TypeStarted, nil)
	}
	must(t, command.Close())
	v.exit(5)
	s.want(5)
	if after := *w.modes(); after != before {
		t.Errorf("settings before %+v, after %+v", before, after)
	}
}

// What the command is told while the service is away reaches it afterwards.
func TestSignalsWaitForTheService(t *testing.T) {
	a := newAgent(t)
	s := a.command(t, "id").begin()
	v := a.accept(t)
	v.send(door.TypeStarted, nil)
	v.heard(s)
	a.shut(t)
	v.letGo()
	must(t, v.conn.Close())
	must(t, s.Process.Signal(unix.SIGUSR1))
	a.open(t)
	v = a.accept(t)
	v.send(door.TypeStarted, nil)
	v.awaits(unix.SIGUSR1)
	v.exit(0)
	s.want(0)
}
