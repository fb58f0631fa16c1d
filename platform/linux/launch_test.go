//go:build linux

package linux

import (
	"context"
	"errors"
	"fmt"
	"io"
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

// endsOf is where programs leave how they ended.
func endsOf(t testing.TB) string { return filepath.Join(t.TempDir(), "ends") }

// newLauncher returns a launcher that ends with the test.
func newLauncher(t testing.TB, spare int, home string) *Launcher {
	t.Helper()
	l, err := NewLauncher(helperPath(), spare, home, endsOf(t))
	must(t, err)
	t.Cleanup(func() { must(t, l.Close()) })
	eventually(t, "the pool is full", func() bool { return len(l.ready) == spare })
	return l
}

// ownCgroup is the cgroup that this process is in.
func ownCgroup(t testing.TB) string {
	t.Helper()
	own, err := findCgroups().of(os.Getpid())
	must(t, err)
	return own
}

// withCgroups returns what DetectCgroup would, in a cgroup of the test's own:
// other agents may run on this machine.
func withCgroups(t testing.TB) string {
	t.Helper()
	own := ownCgroup(t)
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
func start(t testing.TB, l port.Launcher, spec port.LaunchSpec) (port.Process, port.Held) {
	t.Helper()
	h, err := l.Prepare(t.Context(), spec)
	must(t, err)
	p, err := h.Release(t.Context())
	must(t, err)
	return p, h
}

// output launches spec, waits for it and returns what it wrote.
func output(t testing.TB, l port.Launcher, spec port.LaunchSpec) (string, core.ExitStatus) {
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
	spec := shell(t, `trap 'echo usr1' USR1; sleep 1000 & echo ready; while :; do wait; sleep 0.02; done`)
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
