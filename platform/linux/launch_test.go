//go:build linux

package linux

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
	told "kpm/core/signal"
	"kpm/platform/linux/held"
)

// helperPath builds keeperlaunch once and returns a path to it that leaves
// nothing behind.
var helperPath = sync.OnceValue(func() string {
	dir, err := os.MkdirTemp("", "kpm-helper-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "keeperlaunch")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "kpm/cmd/keeperlaunch")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		panic(string(out))
	}
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		panic(err)
	}
	return procFd(fd)
})

// newLauncher returns a launcher that ends with the test.
func newLauncher(t testing.TB, spare int, home string) *Launcher {
	t.Helper()
	l, err := NewLauncher(helperPath(), spare, home)
	must(t, err)
	t.Cleanup(func() { must(t, l.Close()) })
	return l
}

// withCgroups returns what DetectCgroup would, in a cgroup of the test's own:
// other agents may run on this machine.
func withCgroups(t testing.TB) string {
	t.Helper()
	own := findCgroups().of(os.Getpid())
	top, err := os.MkdirTemp(own, "kpm-test-")
	if err != nil {
		t.Fatalf("no writable cgroup version 2; the tests need one: %v", err)
	}
	t.Cleanup(func() {
		eventually(t, "the test's cgroup can be removed", func() bool { return removeCgroup(top) == nil })
	})
	return filepath.Join(top, cgroupHome)
}

var (
	rootAccount  = core.Account{User: "0", Name: "root", Group: "0", Groups: []string{"0"}, Home: "/", Shell: "/bin/sh"}
	otherAccount = core.Account{User: "4242", Name: "other", Group: "4243", Groups: []string{"4243", "4244"}, Home: "/", Shell: "/bin/sh"}
)

// command is a spec for a program that reads nothing and whose output is lost.
func command(t testing.TB, path string, args ...string) port.LaunchSpec {
	t.Helper()
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	must(t, err)
	t.Cleanup(func() { null.Close() })
	path, err = filepath.EvalSymlinks(path)
	must(t, err)
	return port.LaunchSpec{
		Executable: handle(t, path), Argv: append([]string{path}, args...), Env: []string{"LANG=C.UTF-8"},
		Dir: handle(t, "/"), Streams: port.Streams{Input: null, Output: null, Error: null}, As: core.Identity{Account: rootAccount},
	}
}

func shell(t testing.TB, script string, args ...string) port.LaunchSpec {
	t.Helper()
	return command(t, "/bin/sh", append([]string{"-c", script}, args...)...)
}

// start launches spec.
func start(t testing.TB, l *Launcher, spec port.LaunchSpec) (port.Process, port.Held) {
	t.Helper()
	h, err := l.Prepare(t.Context(), spec)
	must(t, err)
	p, err := h.Release(t.Context())
	must(t, err)
	return p, h
}

// output launches spec, waits for it and returns what it wrote.
func output(t testing.TB, l *Launcher, spec port.LaunchSpec) (string, core.ExitStatus) {
	t.Helper()
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	spec.Streams.Output, spec.Streams.Error = w, w
	p, _ := start(t, l, spec)
	w.Close()
	out, err := io.ReadAll(r)
	must(t, err)
	status, err := p.Wait(t.Context())
	must(t, err)
	return string(out), status
}

// eventually waits until what is true.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came to pass that %s", what)
		}
	}
}

// field returns what follows name in text of the form of /proc/PID/status.
func field(text, name string) string {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			return strings.Join(strings.Fields(rest), " ")
		}
	}
	return name + " is missing in " + text
}

// What a program finds when it starts, whoever it runs as.
func TestProgramStartsClean(t *testing.T) {
	// What the service's own surroundings might hand down: an ignored signal, a
	// changed limit, a mask of its own.
	signal.Ignore(unix.SIGUSR2, unix.SIGPIPE)
	defer signal.Reset(unix.SIGUSR2, unix.SIGPIPE)
	var files syscall.Rlimit
	must(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files))
	must(t, syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 777, Max: files.Max}))
	defer syscall.Setrlimit(syscall.RLIMIT_NOFILE, &files)
	defer unix.Umask(unix.Umask(0o77))

	dir := public(t)
	l := newLauncher(t, 2, "")
	for _, account := range []core.Account{rootAccount, otherAccount} {
		t.Run(account.Name, func(t *testing.T) {
			show := func(path string, args ...string) string {
				t.Helper()
				spec := command(t, path, args...)
				spec.As.Account, spec.Dir = account, handle(t, dir)
				spec.Env = []string{"A=1", "B=two words"}
				out, status := output(t, l, spec)
				if status != (core.ExitStatus{}) {
					t.Fatalf("%s ended with %v: %s", path, status, out)
				}
				return out
			}
			status := show("/bin/cat", "/proc/self/status")
			uid, gid := string(account.User), account.Group
			for name, want := range map[string]string{
				"Uid:":    strings.Join([]string{uid, uid, uid, uid}, " "),
				"Gid:":    strings.Join([]string{gid, gid, gid, gid}, " "),
				"Groups:": strings.Join(account.Groups, " "),
				"Umask:":  "0022",
				"SigBlk:": "0000000000000000",
				"SigIgn:": "0000000000000000",
				"SigCgt:": "0000000000000000",
				"CapInh:": "0000000000000000",
				"CapAmb:": "0000000000000000",
			} {
				if got := field(status, name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
			if caps := field(status, "CapEff:"); uid != "0" && caps != "0000000000000000" {
				t.Errorf("capabilities are %s, want none", caps)
			}
			for _, tc := range []struct{ what, got, want string }{
				{"environment", show("/usr/bin/env"), "A=1\nB=two words\n"},
				{"working directory", show("/bin/pwd", "-P"), dir + "\n"},
				{"descriptors (3 is ls's own)", show("/bin/ls", "/proc/self/fd"), "0\n1\n2\n3\n"},
				{"open files, soft", strings.Fields(field(show("/bin/cat", "/proc/self/limits"), "Max open files"))[0], "777"},
			} {
				if tc.got != tc.want {
					t.Errorf("%s: got %q, want %q", tc.what, tc.got, tc.want)
				}
			}
			stat := strings.Fields(show("/bin/cat", "/proc/self/stat"))
			if pid := stat[0]; stat[4] != pid || stat[5] != pid || stat[6] != "0" {
				t.Errorf("group %s, session %s, terminal %s; want a session of its own (%s) without terminal", stat[4], stat[5], stat[6], pid)
			}
		})
	}
}

// keyringPart says what its session keyring is and whether a key of that name
// is in it, and leaves one there.
func keyringPart(args []string) {
	runtime.LockOSThread()
	id, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false)
	_, found := unix.KeyctlSearch(unix.KEY_SPEC_SESSION_KEYRING, "user", args[0], 0)
	_, added := unix.AddKey("user", args[0], []byte("x"), unix.KEY_SPEC_SESSION_KEYRING)
	fmt.Println(id, err, found == nil, added)
}

func TestProgramsShareNoKeyring(t *testing.T) {
	l := newLauncher(t, 1, "")
	exe, err := os.Executable()
	must(t, err)
	seen := map[string]bool{}
	for _, account := range []core.Account{otherAccount, rootAccount, otherAccount} {
		spec := command(t, exe, "kpm-test-key")
		spec.Env, spec.As.Account = []string{childVar + "=keyring"}, account
		out, _ := output(t, l, spec)
		id, rest, _ := strings.Cut(out, " ")
		if rest != "<nil> false <nil>\n" || seen[id] {
			t.Errorf("%s: keyring %q", account.Name, out)
		}
		seen[id] = true
	}
	if own, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false); err == nil && seen[strconv.Itoa(own)] {
		t.Error("a program has the service's keyring")
	}
}

func TestArgumentsArriveAsTheyAre(t *testing.T) {
	l := newLauncher(t, 1, "")
	spec := command(t, "/bin/cat")
	spec.Argv = []string{"not cat's name", "/proc/self/cmdline", "/dev/null"}
	if out, _ := output(t, l, spec); out != strings.Join(spec.Argv, "\x00")+"\x00" {
		t.Errorf("got %q", out)
	}
	odd := []string{"", " ", "$(id)", "*", "-n", "a\nb", "\xff\xfe", strings.Repeat("x", 100_000)}
	out, _ := output(t, l, shell(t, `for a; do printf '%s\0' "$a"; done`, append([]string{"sh"}, odd...)...))
	if out != strings.Join(odd, "\x00")+"\x00" {
		t.Errorf("got %.80q", out)
	}
}

func TestScript(t *testing.T) {
	l := newLauncher(t, 1, "")
	path := filepath.Join(public(t), "script")
	must(t, os.WriteFile(path, []byte("#!/bin/sh\necho \"$0 $1 $(id -u)\"\n"), 0o755))
	spec := command(t, path, "one")
	spec.Script, spec.As.Account = path, otherAccount
	if out, _ := output(t, l, spec); out != path+" one 4242\n" {
		t.Errorf("got %q", out)
	}
}

// Attack: the file is exchanged between the decision and the launch
// (CVE-2021-3969).
func TestExchangedFile(t *testing.T) {
	l := newLauncher(t, 1, "")
	for _, tc := range []struct {
		name     string
		script   bool
		exchange func(t *testing.T, path string)
		want     error
	}{
		{"binary, another in its place", false, replaceByEcho, nil},
		{"binary, gone", false, func(t *testing.T, path string) { must(t, os.Remove(path)) }, nil},
		{"script, untouched", true, func(*testing.T, string) {}, nil},
		{"script, another in its place", true, replaceByEcho, ErrChanged},
		{"script, a link in its place", true, func(t *testing.T, path string) {
			must(t, os.Rename(path, path+".old"))
			must(t, os.Symlink(path+".old", path))
		}, ErrChanged},
		{"script, other contents", true, func(t *testing.T, path string) {
			must(t, os.WriteFile(path, []byte("#!/bin/sh\necho wrong\n"), 0o755))
		}, ErrChanged},
		{"script, other mode", true, func(t *testing.T, path string) { must(t, os.Chmod(path, 0o4755)) }, ErrChanged},
		{"script, gone", true, func(t *testing.T, path string) { must(t, os.Remove(path)) }, fs.ErrNotExist},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := filepath.Join(public(t), "program")
			copyFile(t, "/bin/true", path)
			if tc.script {
				must(t, os.WriteFile(path, []byte("#!/bin/sh\nexit 0\n"), 0o755))
			}
			r, w, err := os.Pipe()
			must(t, err)
			defer r.Close()
			spec := command(t, path, "wrong")
			spec.Streams.Output = w
			if tc.script {
				spec.Script = path
			}
			h, err := l.Prepare(t.Context(), spec)
			must(t, err)
			tc.exchange(t, path)
			p, err := h.Release(t.Context())
			w.Close()
			if !errors.Is(err, tc.want) {
				t.Fatalf("Release: %v, want %v", err, tc.want)
			}
			if err == nil {
				if status, err := p.Wait(t.Context()); err != nil || status != (core.ExitStatus{}) {
					t.Errorf("ended with %v, %v", status, err)
				}
			}
			if out, _ := io.ReadAll(r); len(out) > 0 {
				t.Errorf("the other file ran: %q", out)
			}
		})
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	data, err := os.ReadFile(from)
	must(t, err)
	must(t, os.WriteFile(to, data, 0o755))
}

func replaceByEcho(t *testing.T, path string) {
	t.Helper()
	copyFile(t, "/bin/echo", path+".new")
	must(t, os.Rename(path+".new", path))
}

// Nothing runs without a release: not when the launch is discarded, and not
// when the service is gone.
func TestNothingRunsUnreleased(t *testing.T) {
	marker := filepath.Join(t.TempDir(), "ran")
	t.Run("discarded", func(t *testing.T) {
		l := newLauncher(t, 1, "")
		h, err := l.Prepare(t.Context(), command(t, "/usr/bin/touch", marker))
		must(t, err)
		h.Discard()
		if l.tree.Alive(h.ID()) {
			t.Error("the child is alive")
		}
	})
	for name, told := range map[string]func(t *testing.T) []byte{
		"end of file at once":      func(*testing.T) []byte { return nil },
		"end of file after spec":   func(t *testing.T) []byte { return encoded(t, command(t, "/usr/bin/touch", marker)) },
		"end of file within spec":  func(t *testing.T) []byte { return encoded(t, command(t, "/usr/bin/touch", marker))[:90] },
		"something else than spec": func(*testing.T) []byte { return bytes.Repeat([]byte{1}, 100) },
		"less than a spec":         func(*testing.T) []byte { return []byte{1} },
	} {
		t.Run(name, func(t *testing.T) {
			l := newLauncher(t, 0, "")
			_, files, err := translate(command(t, "/usr/bin/touch", marker), l.null)
			must(t, err)
			c, err := l.spawn()
			must(t, err)
			if message := told(t); message != nil {
				must(t, send(t.Context(), c.conn, message, files))
			}
			must(t, c.conn.Close()) // as if this process had been killed
			if status, err := c.Wait(t.Context()); err != nil || status.Code != 125 {
				t.Errorf("the helper ended with %v, %v; want 125", status, err)
			}
		})
	}
	if _, err := os.Stat(marker); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the program ran: %v", err)
	}
}

func encoded(t *testing.T, spec port.LaunchSpec) []byte {
	t.Helper()
	told, _, err := translate(spec, nil)
	must(t, err)
	message, err := told.Encode()
	must(t, err)
	return message
}

func TestReleaseSaysWhyNot(t *testing.T) {
	l := newLauncher(t, 2, "")
	dir := public(t)
	closed := filepath.Join(dir, "closed")
	must(t, os.Mkdir(closed, 0o700))
	garbage := filepath.Join(dir, "garbage")
	must(t, os.WriteFile(garbage, []byte("\x7fELF nonsense"), 0o755))
	plain := filepath.Join(dir, "plain")
	must(t, os.WriteFile(plain, []byte("x"), 0o644))
	for _, tc := range []struct {
		name string
		make func() port.LaunchSpec
		want error
		step held.Step
	}{
		{"not a program", func() port.LaunchSpec { return command(t, garbage) }, unix.ENOEXEC, held.StepExec},
		{"not executable", func() port.LaunchSpec { return command(t, plain) }, unix.EACCES, held.StepExec},
		{"script without interpreter", func() port.LaunchSpec {
			path := filepath.Join(dir, "orphaned")
			must(t, os.WriteFile(path, []byte("#!/no/such/interpreter\n"), 0o755))
			spec := command(t, path)
			spec.Script = path
			return spec
		}, unix.ENOENT, held.StepExec},
		{"a directory that the target may not enter", func() port.LaunchSpec {
			spec := command(t, "/bin/true")
			spec.Dir, spec.As.Account = handle(t, closed), otherAccount
			return spec
		}, unix.EACCES, held.StepDir},
		{"a working directory that is none", func() port.LaunchSpec {
			spec := command(t, "/bin/true")
			spec.Dir = handle(t, plain)
			return spec
		}, unix.ENOTDIR, held.StepDir},
		{"a terminal that is none", func() port.LaunchSpec {
			spec := command(t, "/bin/true")
			spec.Terminal = &terminal{slave: spec.Streams.Input}
			return spec
		}, unix.ENOTTY, held.StepTerminal},
		{"being written", func() port.LaunchSpec {
			path := filepath.Join(dir, "busy")
			copyFile(t, "/bin/true", path)
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			must(t, err)
			t.Cleanup(func() { f.Close() })
			return command(t, path)
		}, unix.ETXTBSY, held.StepExec},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, err := l.Prepare(t.Context(), tc.make())
			must(t, err)
			p, err := h.Release(t.Context())
			if p != nil || !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.step.String()) {
				t.Errorf("got %v, %v; want %v at %q", p, err, tc.want, tc.step)
			}
			if _, exists := readStat(h.ID().PID); exists {
				t.Error("a process remains")
			}
		})
	}
}

func TestProgramThatIsBusyForAMoment(t *testing.T) {
	l := newLauncher(t, 1, "")
	path := filepath.Join(public(t), "program")
	copyFile(t, "/bin/true", path)
	for range 5 {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		must(t, err)
		h, err := l.Prepare(t.Context(), command(t, path))
		must(t, err)
		time.AfterFunc(time.Millisecond, func() { f.Close() })
		if p, err := h.Release(t.Context()); err == nil {
			_, err = p.Wait(t.Context())
			must(t, err)
			return
		}
	}
	t.Error("it never started")
}

// Attack: the target user traces or inspects the root process that is about to
// become theirs.
func TestHelperIsOutOfTheTargetsReach(t *testing.T) {
	l := newLauncher(t, 1, "")
	path := filepath.Join(public(t), "busy") // keeps the helper between its new ids and exec
	copyFile(t, "/bin/true", path)
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	must(t, err)
	defer f.Close()
	eventually(t, "the helper was seen between its ids and its exec", func() bool {
		spec := command(t, path)
		spec.As.Account = otherAccount
		h, err := l.Prepare(t.Context(), spec)
		must(t, err)
		dir := "/proc/" + strconv.Itoa(h.ID().PID)
		waiting, err := os.ReadFile(dir + "/status")
		must(t, err)
		if uid := field(string(waiting), "Uid:"); uid != "0 0 0 0" {
			t.Fatalf("it waits for its release with ids %s, want root's", uid)
		}
		done := make(chan struct{})
		go func() { defer close(done); h.Release(t.Context()) }()
		defer func() { <-done }()
		for {
			status, err := os.ReadFile(dir + "/status")
			if err != nil {
				return false
			}
			if field(string(status), "Uid:") != "4242 4242 4242 4242" {
				continue
			}
			// Who owns a process's directory may read its memory.
			info, err := os.Stat(dir + "/mem")
			if err != nil {
				return false
			}
			if uid := info.Sys().(*syscall.Stat_t).Uid; uid != 0 {
				t.Fatalf("user %d may trace the helper", uid)
			}
			return true
		}
	})
}

func TestExitStatus(t *testing.T) {
	l := newLauncher(t, 2, "")
	for script, want := range map[string]core.ExitStatus{
		"exit 0":        {},
		"exit 7":        {Code: 7},
		"exit 125":      {Code: 125},
		"kill -KILL $$": {Signal: 9},
		"kill -TERM $$": {Signal: 15},
	} {
		p, _ := start(t, l, shell(t, script))
		if got, err := p.Wait(t.Context()); err != nil || got != want {
			t.Errorf("%q ended with %v, %v; want %v", script, got, err, want)
		}
	}
}

// foreignTerminal is one that another platform, or nobody, has made.
type foreignTerminal struct{ port.Terminal }

func TestSignal(t *testing.T) {
	l := newLauncher(t, 1, "")
	r, w, err := os.Pipe()
	must(t, err)
	defer r.Close()
	spec := shell(t, `trap 'echo usr1' USR1; sleep 1000 & echo ready; wait; wait`)
	spec.Streams.Output = w
	p, _ := start(t, l, spec)
	w.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Wait: %v", err)
	}
	var line [6]byte
	_, err = io.ReadFull(r, line[:])
	must(t, err)
	must(t, p.Signal(told.User1)) // ends sleep, which is in the group; the shell goes on
	must(t, p.Signal(told.Terminate))
	status, err := p.Wait(t.Context())
	must(t, err)
	if status.Signal != int(unix.SIGTERM) && status.Signal != int(unix.SIGUSR1) {
		t.Errorf("ended with %v", status)
	}
	if err := p.Signal(told.Terminate); !errors.Is(err, os.ErrProcessDone) {
		t.Errorf("signal to a process that is gone: %v", err)
	}
	if rest, _ := io.ReadAll(r); string(line[:]) != "ready\n" || len(rest) > len("usr1\n") {
		t.Errorf("output %q %q", line, rest)
	}
}

func TestTerminalIsControllingTerminal(t *testing.T) {
	l := newLauncher(t, 1, "")
	made, err := (Terminals{}).Open(core.Identity{Account: otherAccount})
	must(t, err)
	must(t, made.Resize(33, 111))
	spec := shell(t, `tty; stty size </dev/tty; ps -o tpgid= -o pid= -p $$ | awk '{print $1 == $2}'`)
	spec.Streams, spec.Terminal, spec.As.Account = port.Streams{}, made, otherAccount
	p, _ := start(t, l, spec)
	name, err := os.Readlink(procFd(int(made.(*terminal).slave.Fd())))
	must(t, err)
	var master *os.File
	must(t, made.HandOver(func(files ...*os.File) error {
		fd, err := unix.Dup(int(files[0].Fd()))
		master = os.NewFile(uintptr(fd), "master")
		return err
	}))
	defer master.Close()
	out, err := io.ReadAll(master)
	if !errors.Is(err, unix.EIO) {
		t.Fatal(err)
	}
	if want := name + "\r\n33 111\r\n1\r\n"; string(out) != want {
		t.Errorf("got %q, want %q", out, want)
	}
	_, err = p.Wait(t.Context())
	must(t, err)
}

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
	home := DetectCgroup()
	if filepath.Dir(home) != findCgroups().of(os.Getpid()) {
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
			l, err := NewLauncher(helperPath(), 2, home)
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
			if n, err := tree.KillGroup(running.ID(), runningHeld.Group()); n != 1 || err != nil {
				t.Errorf("KillGroup = %d, %v", n, err)
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
		if _, err := NewLauncher(tc.path, tc.spare, ""); !errors.Is(err, tc.want) {
			t.Errorf("NewLauncher(%s): %v, want %v", tc.path, err, tc.want)
		}
	}
	for _, spare := range []int{-1, 65} {
		if _, err := NewLauncher(helperPath(), spare, ""); err == nil {
			t.Errorf("%d spare helpers accepted", spare)
		}
	}
	if _, err := NewLauncher(helperPath(), 1, filepath.Join(dir, "missing", "home")); err == nil {
		t.Error("a cgroup directory that is none was accepted")
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

// An idle helper is memory that every machine pays.
func TestIdleHelperIsSmall(t *testing.T) {
	l := newLauncher(t, 1, "")
	c := <-l.ready
	l.ready <- c
	var status string
	eventually(t, "it waits under its own name", func() bool {
		data, err := os.ReadFile("/proc/" + strconv.Itoa(c.id.PID) + "/status")
		must(t, err)
		status = string(data)
		return field(status, "Name:") == held.Name && strings.HasPrefix(field(status, "State:"), "S")
	})
	kib, _, _ := strings.Cut(field(status, "RssAnon:"), " ")
	if n, err := strconv.Atoi(kib); err != nil || n > 1024 { // about 500 in this test's own, larger binary
		t.Errorf("%s KiB of its own, want at most 1024", kib)
	}
}
