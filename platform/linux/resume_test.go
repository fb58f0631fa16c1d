//go:build linux

package linux

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/signal"
)

// outliving prepares spec with an end that is kept, in a launcher of its own,
// and returns another launcher as the next service has it.
func outliving(t *testing.T, spec port.LaunchSpec, home string) (*child, *Launcher) {
	t.Helper()
	ends := endsOf(t)
	first, err := NewLauncher(helperPath(), 1, home, ends)
	must(t, err)
	t.Cleanup(func() { must(t, first.Close()) })
	next := &Launcher{ends: ends, tree: NewTree()} // which reaps nobody's children
	spec.Outlives = true
	h, err := first.Prepare(t.Context(), spec)
	must(t, err)
	return h.(*child), next
}

func resume(t *testing.T, l *Launcher, c *child) port.Process {
	t.Helper()
	p, err := l.Resume(c.id, c.group)
	must(t, err)
	return p
}

func TestTheNextLauncherIsToldHowAProgramEnded(t *testing.T) {
	for name, tc := range map[string]struct {
		script string
		want   core.ExitStatus
	}{
		"status":                    {"exit 7", core.ExitStatus{Code: 7}},
		"the helper's own":          {"exit 125", core.ExitStatus{Code: 125}},
		"signal":                    {"kill -TERM $$", core.ExitStatus{Signal: 15}},
		"it leaves its session":     {"setsid true; exit 3", core.ExitStatus{Code: 3}},
		"it ends its process group": {"kill -KILL 0", core.ExitStatus{Signal: 9}},
	} {
		for kind, home := range map[string]string{"session": "", "cgroup": withCgroups(t)} {
			t.Run(name+" in a "+kind, func(t *testing.T) {
				c, next := outliving(t, shell(t, tc.script), home)
				must(t, release(t, c))
				_, err := c.Wait(t.Context())
				must(t, err)
				for range 2 { // as often as services are restarted before it is on record
					if got, err := resume(t, next, c).Wait(t.Context()); err != nil || got != tc.want {
						t.Errorf("ended with %+v, %v; want %+v", got, err, tc.want)
					}
				}
				next.Forget(c.id)
				if _, err := resume(t, next, c).Wait(t.Context()); !errors.Is(err, port.ErrEndUnknown) {
					t.Errorf("forgotten: %v", err)
				}
			})
		}
	}
}

func release(t *testing.T, c *child) error {
	t.Helper()
	_, err := c.Release(t.Context())
	return err
}

func TestAProgramThatRunsOnIsResumed(t *testing.T) {
	c, next := outliving(t, shell(t, `trap "exit 5" USR1; while :; do sleep 0.01; done`), "")
	must(t, release(t, c))
	p := resume(t, next, c)
	soon, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := resume(t, next, c).Wait(soon); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while it runs: %v", err)
	}
	eventually(t, "it heeds the signal", func() bool {
		return errors.Is(p.Signal(signal.User1), os.ErrProcessDone)
	})
	if got, err := p.Wait(t.Context()); err != nil || got.Code != 5 {
		t.Errorf("ended with %+v, %v", got, err)
	}
	if err := p.Signal(signal.User1); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("after its end: %v", err)
	}
}

func TestAResumedGroupIsEnded(t *testing.T) {
	c, next := outliving(t, shell(t, `trap "" HUP TERM; sleep 1000 & sleep 1000`), "")
	must(t, release(t, c))
	p := resume(t, next, c)
	must(t, p.Kill())
	if got, err := p.Wait(t.Context()); err != nil || got.Signal != 9 {
		t.Errorf("ended with %+v, %v", got, err)
	}
}

// A service that ends before it lets a child go has run nothing, and the next one
// knows: it may start it. One whose helper was killed knows nothing.
func TestWhatWasNotReleased(t *testing.T) {
	c, next := outliving(t, command(t, "/bin/true"), "")
	must(t, c.conn.Close()) // as if the service had been killed
	if _, err := resume(t, next, c).Wait(t.Context()); !errors.Is(err, port.ErrNotReleased) {
		t.Errorf("not released: %v", err)
	}

	c, next = outliving(t, command(t, "/bin/sleep", "1000"), "")
	must(t, release(t, c))
	p := resume(t, next, c)
	must(t, unix.Kill(c.id.PID, unix.SIGKILL))
	if _, err := p.Wait(t.Context()); !errors.Is(err, port.ErrEndUnknown) {
		t.Errorf("its helper was killed: %v", err)
	}
	_, err := next.tree.KillGroups(port.Group{Root: c.id, Name: c.group})
	must(t, err)
}

// What is discarded, or cannot be started, is the living service's affair:
// nothing is kept of it.
func TestNothingIsKeptOfWhatNeverRan(t *testing.T) {
	c, next := outliving(t, command(t, "/bin/true"), "")
	c.Discard()
	if _, err := resume(t, next, c).Wait(t.Context()); !errors.Is(err, port.ErrEndUnknown) {
		t.Errorf("discarded: %v", err)
	}
	broken := shell(t, "")
	file := t.TempDir() + "/broken"
	must(t, os.WriteFile(file, []byte("no program"), 0o755))
	broken.Executable = handle(t, file)
	c, next = outliving(t, broken, "")
	if err := release(t, c); err == nil {
		t.Error("it was started")
	}
	if _, err := resume(t, next, c).Wait(t.Context()); !errors.Is(err, port.ErrEndUnknown) {
		t.Errorf("not started: %v", err)
	}
	entries, err := os.ReadDir(next.endsDir())
	must(t, err)
	if len(entries) > 0 {
		t.Errorf("%d files are left", len(entries))
	}
}

func TestWhatIsNotResumed(t *testing.T) {
	l := &Launcher{ends: endsOf(t), tree: NewTree()}
	if _, err := l.Resume(core.ProcessID{PID: 1, Start: 1}, "garbage"); !errors.Is(err, errBadGroup) {
		t.Errorf("garbage: %v", err)
	}
	// A pid that is another process's by now.
	p, err := l.Resume(core.ProcessID{PID: os.Getpid(), Start: 1}, "session:"+core.ProcessID{PID: os.Getpid(), Start: 1}.String()+":"+bootID())
	must(t, err)
	if _, err := p.Wait(t.Context()); !errors.Is(err, port.ErrEndUnknown) {
		t.Errorf("another process: %v", err)
	}
	if err := p.Signal(signal.Kill); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("another process is told: %v", err)
	}
}

// Launches come at the same time, also the first ones after a boot.
func TestOneLaunchDoesNotTakeThePlaceOfAnothersEnd(t *testing.T) {
	for range 200 {
		l := &Launcher{ends: endsOf(t)}
		old := filepath.Join(l.ends, "another boot")
		must(t, os.MkdirAll(old, 0o700))
		var all sync.WaitGroup
		for i := range 4 {
			all.Go(func() {
				dir, err := l.openEnds(port.LaunchSpec{Outlives: true})
				if err != nil {
					t.Error(err)
					return
				}
				defer dir.Close()
				fd, err := unix.Openat(int(dir.Fd()), strconv.Itoa(i), unix.O_CREAT|unix.O_WRONLY, 0o600)
				if err != nil {
					t.Errorf("the directory is gone: %v", err)
					return
				}
				unix.Close(fd)
				if _, err := os.Stat(filepath.Join(l.endsDir(), strconv.Itoa(i))); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("what another boot has left: %v", err)
		}
	}
}

// Whoever reads the other side of a terminal finds its end before the helper writes down
// how the program ended: the helper waits a while before that.
func TestTheEndOfATerminalComesFirst(t *testing.T) {
	l := newLauncher(t, 1, "")
	for range 100 {
		made, err := (Terminals{}).Open(core.Identity{Account: rootAccount})
		must(t, err)
		spec := command(t, "/bin/true")
		spec.Terminal, spec.Outlives = made, true
		h, err := l.Prepare(t.Context(), spec)
		must(t, err)
		c := h.(*child)
		var other int
		must(t, made.HandOver(func(files ...*os.File) (err error) {
			other, err = unix.FcntlInt(files[0].Fd(), unix.F_DUPFD_CLOEXEC, 0)
			return err
		}))
		must(t, release(t, c))
		for err == nil {
			_, err = unix.Read(other, make([]byte, 64))
		}
		must(t, unix.Close(other))
		_, unwritten := os.Lstat(filepath.Join(l.endsDir(), endName(c.id)))
		_, waited := c.Wait(t.Context())
		must(t, waited)
		if errors.Is(unwritten, fs.ErrNotExist) {
			return
		}
	}
	t.Error("it is found when the helper has written down how the program ended, at the earliest")
}
