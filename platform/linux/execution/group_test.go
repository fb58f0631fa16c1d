//go:build linux

package execution

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"kpm/core/port"
)

// mountTmpfs has a file system at a place of its own: nothing else of this machine
// is ever stopped by a test.
func mountTmpfs(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "size=64m,mode=755"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// install copies a program of this machine to a place.
func install(t testing.TB, from, to string) string {
	t.Helper()
	data, err := os.ReadFile(from)
	must(t, err)
	must(t, os.WriteFile(to, data, 0o755))
	return to
}

// execute has a shell become the program, and returns unix.EPERM if it may not.
//
// Not this process: a fork of the Go runtime's holds up a part of the runtime until its
// execve is over, and so those who are to answer it.
func execute(program string, files ...*os.File) error {
	c := exec.Command("/bin/sh", "-c", `exec "$0" 2>/dev/null`, program)
	c.ExtraFiles = files
	err := c.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 126 {
		return unix.EPERM
	}
	return err
}

// decide answers executions by what they are, until the group is closed.
func decide(t *testing.T, g *Group, by func(port.Execution) bool) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			e, err := g.Next()
			if err != nil {
				if !errors.Is(err, os.ErrClosed) {
					t.Error(err)
				}
				return
			}
			if err := g.Answer(e, by(e)); err != nil {
				t.Error(err)
			}
		}
	}()
	t.Cleanup(func() {
		g.Close()
		<-done
	})
}

func TestMain(m *testing.M) {
	somethingElse()
	if os.Getenv("GATE_TEST") != "" {
		helper()
	}
	goleak.VerifyTestMain(m)
}

func TestStopsOnlyWhatIsWatched(t *testing.T) {
	g, err := Open()
	must(t, err)
	must(t, Ready())
	dir := mountTmpfs(t)
	yes, no := install(t, "/bin/true", filepath.Join(dir, "yes")), install(t, "/bin/true", filepath.Join(dir, "no"))
	var seen []string
	decide(t, g, func(e port.Execution) bool {
		kept, err := g.Keep(e)
		if err != nil {
			t.Error(err)
			return true
		}
		defer g.Drop(kept)
		p, err := g.Program(kept, true)
		if err != nil || p.Elsewhere || len(p.Hash) != 64 || p.Interpreter == (port.FileState{}) || p.Script {
			t.Errorf("%+v, %v", p, err)
		}
		who, err := g.Executor(e, true)
		if err != nil || who.User != "0" || !who.Administrator || !strings.HasPrefix(who.Group, "cgroup:/") && who.Group != "" {
			t.Errorf("%+v, %v", who, err)
		}
		seen = append(seen, filepath.Base(p.Path))
		return p.Path != no
	})
	must(t, execute(no))
	must(t, g.Watch(true, []string{dir}))
	must(t, g.Watch(true, []string{dir}))
	must(t, execute(yes))
	if err := execute(no); !errors.Is(err, unix.EPERM) {
		t.Errorf("refused: %v", err)
	}
	must(t, g.Watch(false, nil))
	must(t, execute(no))
	g.Close()
	if got := strings.Join(seen, " "); got != "yes no" {
		t.Errorf("stopped: %s", got)
	}
}

// A file that nobody needs to be asked about costs nothing, until it changes.
func TestIgnored(t *testing.T) {
	g, err := Open()
	must(t, err)
	dir := mountTmpfs(t)
	script := filepath.Join(dir, "script")
	must(t, os.WriteFile(script, []byte("#!/bin/true\n"), 0o755))
	var stopped atomic.Int32
	decide(t, g, func(e port.Execution) bool {
		if stopped.Add(1) == 1 {
			if err := g.Ignore(e); err != nil {
				t.Error(err)
			}
		}
		return true
	})
	must(t, g.Watch(true, []string{dir}))
	run := func(want int32, what string) {
		t.Helper()
		must(t, execute(script))
		if got := stopped.Load(); got != want {
			t.Errorf("%s: stopped %d times, expected %d", what, got, want)
		}
	}
	run(1, "at first")
	run(1, "ignored")
	must(t, os.WriteFile(script, []byte("#!/bin/true \n"), 0o755))
	run(2, "written to")
	must(t, g.Recall())
	run(3, "recalled")
}

// What lies at a path is what the kernel has opened, or it is elsewhere.
func TestProgramsThatAreElsewhere(t *testing.T) {
	g, err := Open()
	must(t, err)
	dir := mountTmpfs(t)
	must(t, os.Mkdir(filepath.Join(dir, "sub"), 0o755))
	path := install(t, "/bin/true", filepath.Join(dir, "sub", "program"))
	file, err := os.Open(path)
	must(t, err)
	defer file.Close()
	var seen atomic.Pointer[port.Program]
	decide(t, g, func(e port.Execution) bool {
		kept, err := g.Keep(e)
		if err == nil {
			var program port.Program
			program, err = g.Program(kept, false)
			seen.Store(&program)
			g.Drop(kept)
		}
		if err != nil {
			t.Error(err)
		}
		return true
	})
	must(t, g.Watch(true, []string{dir}))
	open := func() error { return execute("/proc/self/fd/3", file) } // whatever its name means by now
	must(t, execute(path))
	if last := seen.Load(); last.Path != path || last.Elsewhere {
		t.Errorf("as it is: %+v", last)
	}
	must(t, unix.Mount("tmpfs", filepath.Join(dir, "sub"), "tmpfs", 0, "size=1m"))
	must(t, open())
	if last := seen.Load(); last.Path != path || !last.Elsewhere {
		t.Errorf("mounted over: %+v", last)
	}
	must(t, unix.Unmount(filepath.Join(dir, "sub"), 0))
	must(t, os.Rename(path, path+"2"))
	must(t, os.WriteFile(path, nil, 0o755))
	must(t, open())
	if last := seen.Load(); last.Path != path+"2" || last.Elsewhere {
		t.Errorf("renamed: %+v", last)
	}
	must(t, os.Remove(path+"2"))
	must(t, open())
	if last := seen.Load(); last.Path != path+"2" || !last.Elsewhere {
		t.Errorf("removed: %+v", last)
	}
}

// Without a file system nothing is stopped: what memory holds is not seen.
func TestMemoryFilesAreNotSeen(t *testing.T) {
	g, err := Open()
	must(t, err)
	decide(t, g, func(port.Execution) bool { t.Error("stopped"); return true })
	must(t, g.Watch(true, []string{mountTmpfs(t)}))
	data, err := os.ReadFile("/bin/true")
	must(t, err)
	fd, err := unix.MemfdCreate("program", unix.MFD_CLOEXEC)
	must(t, err)
	writes := os.NewFile(uintptr(fd), "program")
	_, err = writes.Write(data)
	must(t, err)
	file, err := os.Open(fmt.Sprintf("/proc/self/fd/%d", fd))
	must(t, err)
	defer file.Close()
	must(t, writes.Close())
	must(t, execute("/proc/self/fd/3", file))
}

// helper is a process that watches a file system and answers nothing: it stands for a
// keeperexec that is stopped, killed, or at a loss.
func helper() {
	g, err := Open()
	if err == nil {
		err = g.Watch(true, []string{os.Getenv("GATE_TEST")})
	}
	if err == nil && os.Getenv("GATE_ALIVE") != "" {
		err = g.Alive(500 * time.Millisecond)
	}
	if err != nil {
		os.Stdout.WriteString(err.Error())
		os.Exit(1)
	}
	os.Stdout.WriteString("watching")
	select {}
}

func startHelper(t *testing.T, dir string, variables ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	must(t, err)
	c := exec.Command(self)
	c.Env = append(os.Environ(), append(variables, "GATE_TEST="+dir)...)
	out, err := c.StdoutPipe()
	must(t, err)
	must(t, c.Start())
	said := make([]byte, 256)
	n, _ := out.Read(said)
	if !bytes.Equal(said[:n], []byte("watching")) {
		c.Process.Kill()
		c.Wait()
		t.Fatalf("%s", said[:n])
	}
	return c
}

// Whatever becomes of whoever is to answer, programs go on.
func TestNothingHangs(t *testing.T) {
	for name, tc := range map[string]struct {
		alive string
		meet  func(*exec.Cmd) error
	}{
		"killed":          {"", func(c *exec.Cmd) error { return c.Process.Kill() }},
		"stopped":         {"GATE_ALIVE=1", func(c *exec.Cmd) error { return c.Process.Signal(unix.SIGSTOP) }},
		"without a sound": {"GATE_ALIVE=1", func(*exec.Cmd) error { return nil }},
	} {
		t.Run(name, func(t *testing.T) {
			dir := mountTmpfs(t)
			program := install(t, "/bin/true", filepath.Join(dir, "program"))
			c := startHelper(t, dir, tc.alive)
			ended := make(chan error, 1)
			if name == "killed" { // with an event before it
				go func() { ended <- execute(program) }()
				must(t, tc.meet(c))
			} else {
				must(t, tc.meet(c))
				go func() { ended <- execute(program) }()
			}
			select {
			case err := <-ended:
				if err != nil {
					t.Errorf("the program: %v", err)
				}
			case <-time.After(30 * time.Second):
				c.Process.Kill()
				t.Error("the program hangs")
			}
			var status *exec.ExitError
			if err := c.Wait(); !errors.As(err, &status) || status.Sys().(syscall.WaitStatus).Signal() != unix.SIGKILL {
				t.Errorf("whoever was to answer ended by itself: %v", err)
			}
		})
	}
}
