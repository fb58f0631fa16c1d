//go:build linux

package linux

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func TestSeedThatWasKilledIsReplaced(t *testing.T) {
	l := newLauncher(t, 0, "")
	_, err := l.spawn()
	must(t, err)
	l.mu.Lock()
	first := l.seed.id
	l.mu.Unlock()
	must(t, unix.Kill(first.PID, unix.SIGKILL))
	p, _ := start(t, l, command(t, "/bin/true"))
	_, err = p.Wait(t.Context())
	must(t, err)
	if l.seed.id == first {
		t.Error("the same seed")
	}
}

// Who waits while a helper is made has theirs made with the next ones, and everybody has
// one of their own.
func TestHelpersAreMadeTogether(t *testing.T) {
	l := newLauncher(t, 0, "")
	const callers = 2*maxForks + 3
	helpers := make(chan *child, callers)
	seed := plant(t, l)
	must(t, unix.Kill(seed, unix.SIGSTOP))
	defer unix.Kill(seed, unix.SIGCONT) //nolint:errcheck // it may be gone
	var all sync.WaitGroup
	func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		for range callers {
			all.Go(func() {
				c, err := l.spawn()
				if err != nil {
					t.Error(err)
					return
				}
				helpers <- c
			})
		}
		eventually(t, "all of them wait", func() bool { return queued(l) == callers })
	}()
	eventually(t, "the first who has the lock asks for several", func() bool { return queued(l) == callers-maxForks })
	must(t, unix.Kill(seed, unix.SIGCONT))
	all.Wait()
	close(helpers)
	pids := map[int]bool{}
	for c := range helpers {
		pids[c.id.PID] = true
	}
	if len(pids) != callers || queued(l) != 0 {
		t.Errorf("%d callers have %d helpers, %d wait", callers, len(pids), queued(l))
	}
}

// plant makes sure that there is a seed, and returns its pid.
func plant(t *testing.T, l *Launcher) int {
	t.Helper()
	c, err := l.spawn()
	must(t, err)
	c.Discard()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.seed.id.PID
}

// queued is how many wait.
func queued(l *Launcher) int {
	l.waiting.mu.Lock()
	defer l.waiting.mu.Unlock()
	return len(l.waiting.list)
}

// Whoever waits for a launcher that is closed meanwhile, or asks it later, hears of that,
// and leaves nothing.
func TestWhoeverWaitsForALauncherThatIsClosed(t *testing.T) {
	home := withCgroups(t)
	l, err := NewLauncher(helperPath(), 0, home, endsOf(t))
	must(t, err)
	seed := plant(t, l)
	must(t, unix.Kill(seed, unix.SIGSTOP))
	var all sync.WaitGroup
	for range maxForks + 1 {
		all.Go(func() {
			c, err := l.spawn()
			if err == nil {
				<-c.done
			} else if !errors.Is(err, errClosed) {
				t.Errorf("got %v", err)
			}
		})
	}
	closed := make(chan error)
	go func() { closed <- l.Close() }() // beside them, or before some
	must(t, unix.Kill(seed, unix.SIGCONT))
	must(t, <-closed)
	all.Wait()
	for range 2 {
		if c, err := l.spawn(); !errors.Is(err, errClosed) {
			t.Errorf("got %v, %v", c, err)
		}
	}
	if _, err := os.Stat(home); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there: %v", home, err)
	}
}

// orderSeveral returns as many orders as the seed is asked for at once.
func orderSeveral(t *testing.T, l *Launcher) (list []*order) {
	t.Helper()
	for range maxForks {
		o, err := l.newOrder()
		must(t, err)
		list = append(list, o)
	}
	return list
}

// The seed is killed while it owes helpers: those that it made for nobody end, and others
// are made by another seed.
func TestSeedThatIsKilledWhileItIsAsked(t *testing.T) {
	l := newLauncher(t, 0, "")
	before := len(entries(t, "/proc/self/fd"))
	for range 20 {
		seed := plant(t, l)
		asked := orderSeveral(t, l)
		l.mu.Lock()
		go func() { _ = unix.Kill(seed, unix.SIGKILL) }()
		l.fork(asked)
		l.mu.Unlock()
		for i, o := range asked {
			o.close()
			if !o.done || i > 0 && o.err == nil && asked[i-1].err != nil {
				t.Errorf("of order %d nothing has become, or more than of the one before: %+v", i, o)
			}
			if o.err == nil {
				o.child.Discard()
			} else if !o.again {
				t.Errorf("order %d is given up, and the seed lives: %v", i, o.err)
			}
		}
	}
	plant(t, l)
	eventually(t, "they are reaped, and nothing is left open but for a seed", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.children) == 1 && len(entries(t, "/proc/self/fd")) <= before+2
	})
}

// A seed that is killed before it has made any of those that it was asked for.
func TestSeedThatIsKilledBeforeItAnswers(t *testing.T) {
	home := withCgroups(t)
	l := newLauncher(t, 0, home)
	seed := plant(t, l)
	must(t, unix.Kill(seed, unix.SIGSTOP))
	asked := orderSeveral(t, l)
	raw, err := l.seed.conn.SyscallConn()
	must(t, err)
	go func() {
		for unread := 0; unread == 0; { // until it is asked
			if raw.Control(func(fd uintptr) { unread, _ = unix.IoctlGetInt(int(fd), unix.TIOCOUTQ) }) != nil {
				break
			}
		}
		_ = unix.Kill(seed, unix.SIGKILL)
	}()
	l.mu.Lock()
	l.fork(asked)
	l.mu.Unlock()
	for i, o := range asked {
		o.close()
		if !o.done || o.err == nil || !o.again {
			t.Errorf("order %d: %+v", i, o)
		}
	}
	plant(t, l)
	eventually(t, "their cgroups are gone", func() bool {
		left, err := filepath.Glob(filepath.Join(home, cgroupPrefix+"*"))
		must(t, err)
		return len(left) == 0
	})
}
