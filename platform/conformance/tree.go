package conformance

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"kpm/core"
	"kpm/core/port"
)

// What a command leaves running stays when it ends, and can be found and ended.
func background(t *testing.T, b *bench) {
	p, h, first, _ := b.talking(b.spec("leave"))
	left := parseID(t, first)
	b.end(p)
	if b.Tree.Alive(h.ID()) || !b.Tree.Alive(left) || b.Tree.Empty(h.ID(), h.Group()) || b.member(h.ID(), h.Group(), left) == b.Sheds {
		t.Error("what was left running is not in the group")
	}
	other, otherHeld, first, _ := b.talking(b.spec("leave"))
	also := parseID(t, first)
	b.end(other)
	groups := []port.Group{{Root: h.ID(), Name: h.Group()}, {Root: otherHeld.ID(), Name: otherHeld.Group()}}
	if occupied, err := b.Tree.Occupied(groups); err != nil || !occupied[0] || !occupied[1] {
		t.Errorf("occupied: %v, %v", occupied, err)
	}
	if n, err := b.Tree.KillGroups(groups...); err != nil || n < 2 {
		t.Errorf("%d of two groups were ended, %v", n, err)
	}
	eventually(t, "both have ended", func() bool { return !b.Tree.Alive(left) && !b.Tree.Alive(also) })
}

func twice(t *testing.T, b *bench) {
	p, h, first, out := b.talking(b.spec("twice"))
	left := parseID(t, first)
	b.end(p)
	if !b.Tree.Alive(left) || b.member(h.ID(), h.Group(), left) == b.Sheds {
		t.Error("what forked twice is not in the group")
	}
	if n, err := b.Tree.KillGroups(port.Group{Root: h.ID(), Name: h.Group()}); err != nil || n < 1 {
		t.Errorf("%d were ended, %v", n, err)
	}
	if _, err := io.ReadAll(out); err != nil { // nobody has the other end any more
		t.Error(err)
	}
	// A process that is killed closes its files before it is seen to have ended.
	eventually(t, "nothing is left", func() bool { return !b.Tree.Alive(left) && b.Tree.Empty(h.ID(), h.Group()) })
	if n, err := b.Tree.KillGroups(port.Group{Root: h.ID(), Name: h.Group()}); err != nil || n != 0 {
		t.Errorf("again: %d were ended, %v", n, err)
	}
}

// member reports whether a process belongs to a launch group.
func (b *bench) member(root core.ProcessID, group string, id core.ProcessID) bool {
	nobody := port.Group{Root: core.ProcessID{PID: -1}}
	return b.Tree.Which(id, []port.Group{nobody, {Root: root, Name: group}, nobody}) == 1
}

func members(t *testing.T, b *bench) {
	self := b.Tree.Self()
	p, h, first, _ := b.talking(b.spec("both"))
	child := parseID(t, first)
	other, o, _, _ := b.talking(b.spec("stay"))
	for _, c := range []struct {
		what  string
		root  core.ProcessID
		group string
		id    core.ProcessID
		want  bool
	}{
		{"its leader", h.ID(), h.Group(), h.ID(), true},
		{"its child", h.ID(), h.Group(), child, true},
		{"its child, by descent alone", h.ID(), "", child, true},
		{"a later process of the pid", h.ID(), h.Group(), core.ProcessID{PID: child.PID, Start: child.Start + 1}, false},
		{"this process", h.ID(), h.Group(), self, false},
		{"another launch", h.ID(), h.Group(), o.ID(), false},
		{"its child, of a group that is none", h.ID(), "no such group", self, false},
		{"its child, of this process", self, "", child, true},
	} {
		if got := b.member(c.root, c.group, c.id); got != c.want {
			t.Errorf("%s is a member: %v", c.what, got)
		}
	}
	if !b.Tree.Alive(self) || b.Tree.Alive(core.ProcessID{PID: self.PID, Start: self.Start + 1}) {
		t.Error("pid and start stamp together name a process")
	}
	if _, err := b.Tree.KillGroups(port.Group{Root: h.ID(), Name: "no such group"}); err == nil {
		t.Error("a group that is none can be ended")
	}
	must(t, errors.Join(p.Kill(), other.Kill()))
	b.end(p)
	b.end(other)
	eventually(t, "the child has ended", func() bool { return !b.Tree.Alive(child) })
}

// dying starts another service, which prepares a part, and returns what it has
// prepared. die kills the service and waits until it is gone.
func (b *bench) dying(how string, args ...string) (id core.ProcessID, group string, out *bufio.Reader, die func()) {
	b.t.Helper()
	exe, err := os.Executable()
	must(b.t, err)
	cmd := exec.CommandContext(b.t.Context(), exe, append([]string{"service", how}, args...)...)
	cmd.Env = append(os.Environ(), variable+"=1")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	must(b.t, err)
	r, w := b.pipe()
	cmd.Stdout = w
	must(b.t, cmd.Start())
	w.Close()
	out = bufio.NewReader(r)
	next := func() string {
		text, err := out.ReadString('\n')
		must(b.t, err)
		return strings.TrimSpace(text)
	}
	id = parseID(b.t, next())
	group = next()
	return id, group, out, func() {
		stdin.Close()
		var status *exec.ExitError
		if err := cmd.Wait(); !errors.As(err, &status) {
			b.t.Errorf("the service ended well: %v", err)
		}
	}
}

func diesBefore(t *testing.T, b *bench) {
	path := filepath.Join(t.TempDir(), "made")
	id, group, out, die := b.dying("hold", "make", path)
	if !b.Tree.Alive(id) {
		t.Error("the held child is not there")
	}
	die()
	eventually(t, "the held child has ended", func() bool { return !b.Tree.Alive(id) && b.Tree.Empty(id, group) })
	if _, err := io.ReadAll(out); err != nil || made(path) {
		t.Errorf("it has run: %v, %v", made(path), err)
	}
}

// A command survives the service, and the next service finds and ends it with
// what it has started.
func restarts(t *testing.T, b *bench) {
	id, group, out, die := b.dying("run", "both")
	var child core.ProcessID
	for range 2 { // both write to one pipe
		text, err := out.ReadString('\n')
		must(t, err)
		if text = strings.TrimSpace(text); text != "released" {
			child = parseID(t, text)
		}
	}
	die()
	// A program's whole life: what was to die with the service had the time.
	p, _ := b.launch(b.spec("exit", "0"))
	b.end(p)
	if !b.Tree.Alive(id) || !b.Tree.Alive(child) || b.Tree.Empty(id, group) || !b.member(id, group, child) {
		t.Fatalf("leader lives: %v, child lives: %v, group is empty: %v", b.Tree.Alive(id), b.Tree.Alive(child), b.Tree.Empty(id, group))
	}
	if n, err := b.Tree.KillGroups(port.Group{Root: id, Name: group}); err != nil || n < 2 {
		t.Errorf("%d were ended, %v", n, err)
	}
	if _, err := io.ReadAll(out); err != nil {
		t.Error(err)
	}
	eventually(t, "all have ended", func() bool { return !b.Tree.Alive(id) && !b.Tree.Alive(child) && b.Tree.Empty(id, group) })
}

// manyLaunches are many.
const manyLaunches = 1000

// Launches leave nothing behind, and do not get into each other's way.
func many(t *testing.T, b *bench) {
	if b.Launches < manyLaunches {
		t.Logf("not shown here: many: %d launches and not %d", b.Launches, manyLaunches)
	}
	one := func(code int) error {
		h, err := b.Launcher.Prepare(t.Context(), b.spec("exit", fmt.Sprint(code)))
		if err != nil {
			return err
		}
		p, err := h.Release(t.Context())
		if err != nil {
			return err
		}
		if status, err := p.Wait(t.Context()); err != nil || status.Code != code {
			return fmt.Errorf("exit %d is %+v, %w", code, status, err)
		}
		return nil
	}
	for code := range 10 { // whatever is opened once
		must(t, one(code))
	}
	before, err := b.Open()
	must(t, err)
	const at_once = 4
	var launches sync.WaitGroup
	for worker := range at_once {
		launches.Go(func() {
			for i := range b.Launches / at_once {
				if err := one((worker + i) % 100); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	launches.Wait()
	eventually(t, "as much is open as before", func() bool {
		after, err := b.Open()
		must(t, err)
		return after <= before+at_once*8 // helpers that wait, and what the runtime keeps
	})
}

func refused(t *testing.T, b *bench) {
	garbage := filepath.Join(t.TempDir(), "garbage.exe")
	must(t, os.WriteFile(garbage, []byte("not a program"), 0o755))
	gone := b.handle(garbage)
	shut := b.handle(garbage)
	must(t, shut.Close())
	for what, change := range map[string]func(*port.LaunchSpec){
		"no argv":             func(s *port.LaunchSpec) { s.Argv = nil },
		"a NUL in argv":       func(s *port.LaunchSpec) { s.Argv = []string{"a", "b\x00"} },
		"too many arguments":  func(s *port.LaunchSpec) { s.Argv = []string{"a", strings.Repeat("x", 2<<20)} },
		"no executable":       func(s *port.LaunchSpec) { s.Executable = nil },
		"a closed executable": func(s *port.LaunchSpec) { s.Executable = shut },
		"no directory":        func(s *port.LaunchSpec) { s.Dir = nil },
		"not a program":       func(s *port.LaunchSpec) { s.Executable = gone },
		"a directory":         func(s *port.LaunchSpec) { s.Executable = b.dir },
		"a file to work in":   func(s *port.LaunchSpec) { s.Dir = gone },
		"a foreign terminal":  func(s *port.LaunchSpec) { s.Terminal = foreign{} },
		"a user that is none": func(s *port.LaunchSpec) { s.As.Account.User = "nobody of this name" },
	} {
		spec := b.spec("exit", "0")
		change(&spec)
		h, err := b.Launcher.Prepare(t.Context(), spec)
		if err == nil {
			var p port.Process
			if p, err = h.Release(t.Context()); err == nil {
				t.Errorf("%s: %v was started", what, p.ID())
			}
			if b.Tree.Alive(h.ID()) || !b.Tree.Empty(h.ID(), h.Group()) {
				t.Errorf("%s: something is left", what)
			}
		}
		if err != nil && len(err.Error()) < 20 {
			t.Errorf("%s: %v does not say enough", what, err)
		}
	}
}

// foreign is a terminal that nobody has made.
type foreign struct{ port.Terminal }

func closed(t *testing.T, b *bench) {
	held, path := b.held()
	p, h, _, _ := b.talking(b.spec("stay"))
	must(t, b.Host.Close())
	if _, err := b.Launcher.Prepare(t.Context(), b.spec("exit", "0")); err == nil {
		t.Errorf("a closed launcher starts programs: %v", err)
	}
	if _, err := p.Wait(context.Background()); err == nil {
		t.Error("somebody still waits for the program")
	}
	if b.Tree.Alive(held.ID()) || made(path) {
		t.Error("the held child is there")
	}
	if !b.Tree.Alive(p.ID()) {
		t.Error("the running program has ended")
	}
	if n, err := b.Tree.KillGroups(port.Group{Root: h.ID(), Name: h.Group()}); err != nil || n < 1 {
		t.Errorf("%d were ended, %v", n, err)
	}
	eventually(t, "it has ended", func() bool { return !b.Tree.Alive(p.ID()) })
}
