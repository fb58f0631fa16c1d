//go:build linux

package linux

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/linux/held"
)

func TestReleaseGivesUp(t *testing.T) {
	l := newLauncher(t, 1, "")
	h, err := l.Prepare(t.Context(), command(t, "/bin/true"))
	must(t, err)
	must(t, unix.Kill(h.ID().PID, unix.SIGSTOP))
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if _, err := h.Release(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if _, exists := readStat(h.ID().PID); exists {
		t.Error("a process remains")
	}
}

func TestHelpersThatWereKilledAreReplaced(t *testing.T) {
	l := newLauncher(t, 3, "")
	l.mu.Lock()
	for pid := range l.children { // the seed too
		must(t, unix.Kill(pid, unix.SIGKILL))
	}
	l.mu.Unlock()
	eventually(t, "they are gone", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return len(l.children) == 0 })
	for range 5 {
		p, _ := start(t, l, command(t, "/bin/true"))
		_, err := p.Wait(t.Context())
		must(t, err)
	}
	eventually(t, "three helpers wait again", func() bool { return len(l.ready) == 3 })
}

// A program that is no keeperlaunch is named to whoever needs a helper.
func TestAHelperThatIsAnotherProgram(t *testing.T) {
	path := filepath.Join(public(t), "keeperlaunch")
	program, err := os.ReadFile("/bin/true")
	must(t, errors.Join(err, os.WriteFile(path, program, 0o755)))
	l, err := NewLauncher(path, 1, "", "") // which may see already that it has ended
	if err == nil {
		defer l.Close()
		_, err = l.Prepare(t.Context(), command(t, "/bin/true"))
	}
	if err == nil || !strings.Contains(err.Error(), path+" has ended") || !strings.Contains(err.Error(), "install the agent again") {
		t.Errorf("got %v", err)
	}
}

// What the seed does for each helper leaves nothing behind.
func TestTheSeedStaysSmall(t *testing.T) {
	l := newLauncher(t, 1, "")
	run := func(times int) {
		for range times {
			p, _ := start(t, l, command(t, "/bin/true"))
			_, err := p.Wait(t.Context())
			must(t, err)
		}
	}
	run(20)
	l.mu.Lock()
	seed := l.seed.id.PID
	l.mu.Unlock()
	before := anonymous(t, seed)
	run(500)
	if after := anonymous(t, seed); after-before > 64 {
		t.Errorf("the seed had %d kB, and has %d kB after 500 helpers", before, after)
	}
}

// anonymous is how much memory that no file lies behind a process has, in kB.
func anonymous(t *testing.T, pid int) (size int) {
	t.Helper()
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	must(t, err)
	if _, err := fmt.Sscanf(field(string(status), "RssAnon:"), "%d kB", &size); err != nil {
		t.Fatalf("%v in %s", err, status)
	}
	return size
}

func TestHelperDiesAfterItWasTold(t *testing.T) {
	l := newLauncher(t, 1, "")
	h, err := l.Prepare(t.Context(), command(t, "/bin/true"))
	must(t, err)
	must(t, unix.Kill(h.ID().PID, unix.SIGKILL))
	eventually(t, "it is gone", func() bool { return !l.tree.Alive(h.ID()) })
	if p, err := h.Release(t.Context()); err == nil {
		t.Errorf("got %v", p)
	}
}

func TestManyLaunchesLeaveNothingBehind(t *testing.T) {
	home := withCgroups(t)
	l := newLauncher(t, 2, home)
	descriptors := func() int {
		list, err := os.ReadDir("/proc/self/fd")
		must(t, err)
		return len(list)
	}
	eventually(t, "the pool is full", func() bool { return len(l.ready) == 2 })
	spec, before := command(t, "/bin/true"), descriptors()
	for range 1000 {
		p, _ := start(t, l, spec)
		status, err := p.Wait(t.Context())
		must(t, err)
		if status != (core.ExitStatus{}) {
			t.Fatal(status)
		}
	}
	eventually(t, "only the seed, the pool and its cgroups remain", func() bool {
		kids, groups := 0, 0
		for _, pid := range allPids() {
			if s, ok := readStat(pid); ok && s.parent == os.Getpid() {
				kids++
			}
		}
		entries, err := os.ReadDir(home)
		must(t, err)
		for _, entry := range entries {
			if entry.IsDir() {
				groups++
			}
		}
		return len(l.ready) == 2 && kids == 3 && groups == 2
	})
	if after := descriptors(); after > before {
		t.Errorf("%d descriptors before, %d after", before, after)
	}
	must(t, l.Close())
	if _, err := os.Stat(home); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there: %v", home, err)
	}
}

func TestDetectCgroup(t *testing.T) {
	home, err := DetectCgroup()
	must(t, err)
	if filepath.Dir(home) != ownCgroup(t) {
		t.Fatalf("got %q", home)
	}
	l := newLauncher(t, 0, home)
	_, h := start(t, l, command(t, "/bin/true"))
	if dir, ok := strings.CutPrefix(h.Group(), "cgroup:"); !ok || filepath.Dir(dir) != home {
		t.Errorf("group %q is not in %q", h.Group(), home)
	}
}

// Our own restart must not end a running elevated program (decision 32).
func TestCloseEndsWhatWaitsAndLeavesWhatRuns(t *testing.T) {
	for name, home := range map[string]string{"session": "", "cgroup": withCgroups(t)} {
		t.Run(name, func(t *testing.T) {
			l, err := NewLauncher(helperPath(), 2, home, "")
			must(t, err)
			tree := NewTree()
			running, runningHeld := start(t, l, command(t, "/bin/sleep", "1000"))
			waiting, err := l.Prepare(t.Context(), command(t, "/bin/sleep", "1000"))
			must(t, err)
			must(t, l.Close())
			must(t, l.Close())
			if !tree.Alive(running.ID()) || tree.Alive(waiting.ID()) {
				t.Errorf("running alive: %v, held alive: %v", tree.Alive(running.ID()), tree.Alive(waiting.ID()))
			}
			if _, err := running.Wait(t.Context()); err == nil {
				t.Error("Wait answers without having waited")
			}
			if _, err := waiting.Release(t.Context()); err == nil {
				t.Error("released after Close")
			}
			if _, err := l.Prepare(t.Context(), command(t, "/bin/true")); !errors.Is(err, errClosed) {
				t.Errorf("Prepare after Close: %v", err)
			}
			if n, err := tree.KillGroups(port.Group{Root: running.ID(), Name: runningHeld.Group()}); n != 1 || err != nil {
				t.Errorf("KillGroups = %d, %v", n, err)
			}
			unix.Wait4(running.ID().PID, nil, 0, nil)
		})
	}
}

func TestPrepareRefuses(t *testing.T) {
	l := newLauncher(t, 0, "")
	gone, err := os.Open("/")
	must(t, err)
	must(t, gone.Close())
	for name, spoil := range map[string]func(s *port.LaunchSpec){
		"no argv":            func(s *port.LaunchSpec) { s.Argv = nil },
		"NUL in argv":        func(s *port.LaunchSpec) { s.Argv = []string{"a\x00b"} },
		"NUL in environment": func(s *port.LaunchSpec) { s.Env = []string{"A=\x00"} },
		"NUL in script":      func(s *port.LaunchSpec) { s.Script = "/a\x00b" },
		"no user (-1)":       func(s *port.LaunchSpec) { s.As.Account.User = "4294967295" },
		"negative user":      func(s *port.LaunchSpec) { s.As.Account.User = "-1" },
		"empty user":         func(s *port.LaunchSpec) { s.As.Account.User = "" },
		"no group (-1)":      func(s *port.LaunchSpec) { s.As.Account.Group = "4294967295" },
		"groups with a name": func(s *port.LaunchSpec) { s.As.Account.Groups = []string{"wheel"} },
		"no executable":      func(s *port.LaunchSpec) { s.Executable = nil },
		"no directory":       func(s *port.LaunchSpec) { s.Dir = nil },
		"a closed terminal":  func(s *port.LaunchSpec) { s.Terminal = &terminal{} },
		"someone's terminal": func(s *port.LaunchSpec) { s.Terminal = foreignTerminal{} },
		"closed directory":   func(s *port.LaunchSpec) { s.Dir = gone },
		"too much":           func(s *port.LaunchSpec) { s.Env = []string{strings.Repeat("x", held.MaxSpec)} },
	} {
		spec := command(t, "/bin/true")
		spoil(&spec)
		if h, err := l.Prepare(t.Context(), spec); err == nil {
			h.Discard()
			t.Errorf("%s: accepted", name)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.Prepare(ctx, command(t, "/bin/true")); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestNewLauncherRefuses(t *testing.T) {
	dir := public(t)
	file := func(name string, mode os.FileMode, uid int) string {
		path := filepath.Join(dir, name)
		copyFile(t, "/bin/true", path)
		must(t, os.Chown(path, uid, 0))
		must(t, os.Chmod(path, mode))
		return path
	}
	for _, tc := range []struct {
		path  string
		spare int
		want  error
	}{
		{filepath.Join(dir, "missing"), 1, fs.ErrNotExist},
		{file("another's", 0o755, 4242), 1, core.ErrNotProtected},
		{file("group-writable", 0o775, 0), 1, core.ErrNotProtected},
		{file("plain", 0o644, 0), 1, core.ErrNotRegular},
		{dir, 1, core.ErrNotRegular},
	} {
		if _, err := NewLauncher(tc.path, tc.spare, "", ""); !errors.Is(err, tc.want) {
			t.Errorf("NewLauncher(%s): %v, want %v", tc.path, err, tc.want)
		}
	}
	for _, spare := range []int{-1, 65} {
		if _, err := NewLauncher(helperPath(), spare, "", ""); err == nil {
			t.Errorf("%d spare helpers accepted", spare)
		}
	}
	// A file that can be executed, and is no helper: whoever needs one hears of it, if
	// nobody has before.
	for helper, home := range map[string]string{file("true", 0o755, 0): "", helperPath(): filepath.Join(dir, "missing", "home")} {
		l, err := NewLauncher(helper, 1, home, "")
		if err != nil {
			continue
		}
		if _, err := l.Prepare(t.Context(), command(t, "/bin/true")); err == nil {
			t.Errorf("%s in %q starts programs", helper, home)
		}
		must(t, l.Close())
	}
}

// Other code's children must keep their exit status for whoever waits.
func TestOtherCodesChildrenAreLeftAlone(t *testing.T) {
	l := newLauncher(t, 1, "")
	foreign := exec.Command("/bin/sh", "-c", "exit 3")
	must(t, foreign.Start())
	eventually(t, "it has ended", func() bool { s, _ := readStat(foreign.Process.Pid); return s.dead() })
	// An orphan behind it in the queue is reaped all the same.
	out, _ := output(t, l, shell(t, "sleep 0.05 >/dev/null & echo $!"))
	orphan, err := strconv.Atoi(strings.TrimSpace(out))
	must(t, err)
	eventually(t, "the orphan is reaped", func() bool { _, exists := readStat(orphan); return !exists })
	var exit *exec.ExitError
	if err := foreign.Wait(); !errors.As(err, &exit) || exit.ExitCode() != 3 {
		t.Errorf("its own Wait says %v, want status 3", err)
	}
}

// An idle helper is memory that every machine pays. It has next to nothing of what is the
// seed's.
func TestIdleHelperIsSmall(t *testing.T) {
	l := newLauncher(t, 1, "")
	c := <-l.ready
	l.ready <- c
	eventually(t, "it waits under its own name", func() bool {
		data, err := os.ReadFile("/proc/" + strconv.Itoa(c.id.PID) + "/status")
		must(t, err)
		status := string(data)
		return field(status, "Name:") == held.Name && strings.HasPrefix(field(status, "State:"), "S")
	})
	if kib := anonymous(t, c.id.PID); kib > 256 {
		t.Errorf("%d KiB of its own, want at most 256", kib)
	}
}
