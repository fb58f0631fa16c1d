//go:build linux

package darwin

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/conformance"
	"kpm/platform/darwin/file"
	"kpm/platform/darwin/held"
	"kpm/platform/darwin/helper"
	"kpm/platform/darwin/kernel"
	"kpm/platform/darwin/launchgroup"
	"kpm/platform/none"
)

// The launcher, its helper and its child, the process tree and the end of a
// terminal are plain Unix but for what stands in for macOS below. So the suite of
// every platform runs on them here: pool, release, signals, terminals, job control,
// a service that dies. What it cannot show is that macOS does what the stand-ins do.

// linux stands in for macOS: the process table is /proc, a file is where
// /proc/self/fd says.
type linux struct{}

func (linux) process(pid int) (kernel.Process, bool) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil || pid <= 0 {
		return kernel.Process{}, false
	}
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	number := func(i int) int { n, _ := strconv.Atoi(fields[i]); return n }
	var st unix.Stat_t
	if unix.Stat("/proc/"+strconv.Itoa(pid), &st) != nil {
		return kernel.Process{}, false
	}
	terminal := uint32(number(4))
	if terminal == 0 {
		terminal = kernel.NoTerminal
	}
	return kernel.Process{
		Terminal: terminal, Name: string(data[bytes.IndexByte(data, '(')+1 : bytes.LastIndexByte(data, ')')]),
		PID: pid, Parent: number(1), Group: number(2), Session: number(3), Start: uint64(number(19)),
		Zombie: fields[0] == "Z" || fields[0] == "X", User: st.Uid, RealUser: st.Uid, SavedUser: st.Uid,
	}, true
}

func (l linux) processes() (launchgroup.Table, error) {
	entries, err := os.ReadDir("/proc")
	table := launchgroup.Table{}
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			if p, ok := l.process(pid); ok {
				table[pid] = p
			}
		}
	}
	return table, err
}

func (linux) carried(pid int, wanted map[string]bool) []string {
	env, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	return slices.DeleteFunc(strings.Split(string(env), "\x00"), func(variable string) bool { return !wanted[variable] })
}

func (linux) boot() string { return "this-boot" }

func (linux) whereIs(fd int) (file.Place, error) {
	path, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(fd))
	if err != nil {
		return file.Place{}, err
	}
	var st unix.Stat_t
	err = unix.Fstat(fd, &st)
	return file.Place{Path: path, Node: linuxNode(&st)}, err
}

func (linux) reopen(fd int) (*os.File, error) { return os.Open("/proc/self/fd/" + strconv.Itoa(fd)) }

// whatRuns cannot see the image: what is suspended here is a stand-in too.
func (linux) whatRuns(_ int, s sealed) (running, error) {
	var st unix.Stat_t
	err := unix.Lstat(s.path, &st)
	return running{path: s.path, node: linuxNode(&st), none: true}, err
}

func linuxNode(st *unix.Stat_t) file.Node {
	id := helper.Identify(st)
	return file.Node{Dev: id.Device, Inode: id.Inode, Mode: uint16(st.Mode), UID: st.Uid, Size: st.Size, Links: 1, Change: time.Unix(int64(id.ChangeSec), int64(id.ChangeNsec))}
}

// terminals stand in for those of macOS, whose ioctls make a pty.
type terminals struct{ none.Terminals }

func (terminals) IsTerminal(f *os.File) bool {
	return onDescriptor(f, func(fd int) error { _, err := unix.IoctlGetTermios(fd, unix.TCGETS); return err }) == nil
}

func (terminals) Open(core.Identity) (port.Terminal, error) {
	m, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.IoctlSetPointerInt(m, unix.TIOCSPTLCK, 0); err != nil {
		return nil, err
	}
	s, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(m), unix.TIOCGPTPEER, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC)
	if errno != 0 {
		return nil, errno
	}
	return &terminal{master: os.NewFile(uintptr(m), "master"), slave: os.NewFile(s, "slave")}, nil
}

// standInHelper tells the suite's programs where the stand-in for keeperlaunch is.
const standInHelper = "KPM_STANDIN_HELPER"

func ground(helper string) conformance.Ground {
	return conformance.Ground{
		Host: func() (port.Host, error) {
			host := none.Host(Facts())
			host.Tree, host.Terminals = newTree(linux{}), terminals{}
			launcher, err := newLauncher(linux{}, helper, 2, func() ([]core.Session, error) { return nil, nil })
			if err != nil {
				return port.Host{}, err
			}
			host.Launcher, host.Close = launcher, launcher.Close
			return host, nil
		},
		Self:   newTree(linux{}).Self,
		As:     core.Identity{Account: core.Account{User: "0", Name: "root", Group: "0", Groups: []string{"0"}}},
		Handle: os.Open,
		// Not that of another suite on this machine: whoever carries it is ended.
		Env:      []string{"LANG=C.UTF-8", "KEEPER_REQUEST_ID=" + helper, standInHelper + "=" + helper},
		Launches: 20,
		Sheds:    true,
		Inheritable: func(f *os.File) (uintptr, error) {
			_, err := unix.FcntlInt(f.Fd(), unix.F_SETFD, 0)
			return f.Fd(), err
		},
		Open: func() (int, error) {
			entries, err := os.ReadDir("/proc/self/fd")
			return len(entries), err
		},
		Duplicate: func(f *os.File) (*os.File, error) {
			fd, err := unix.Dup(int(f.Fd()))
			return os.NewFile(uintptr(fd), f.Name()), err
		},
		Ends: func(handedOver []*os.File) (typed, shown *os.File) { return handedOver[0], handedOver[0] },
		Console: func() (in, out *os.File, err error) {
			tty, err := os.OpenFile("/dev/tty", os.O_RDWR, 0)
			return tty, tty, err
		},
		Size: func(out *os.File) (rows, columns int, err error) {
			size, err := unix.IoctlGetWinsize(int(out.Fd()), unix.TIOCGWINSZ)
			if err != nil {
				return 0, 0, err
			}
			return int(size.Row), int(size.Col), nil
		},
		NotShown: map[string]string{"what was sealed runs": notByHandle},
	}
}

func TestMain(m *testing.M) {
	conformance.Main(ground(os.Getenv(standInHelper)))
	code := m.Run()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// keeperlaunch builds the stand-in for it, once for each test.
func keeperlaunch(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keeperlaunch")
	build := exec.Command("go", "build", "-o", path, "./testdata/standin")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}

func TestConformanceOnStandIns(t *testing.T) {
	path := keeperlaunch(t)
	t.Setenv(standInHelper, path)
	conformance.Run(t, ground(path))
}

// What is started by another program, as launchctl does it, is met all the same, and
// what only says so is not.
func TestHelperByAnotherProgram(t *testing.T) {
	self := keeperlaunch(t)
	l, err := newLauncher(linux{}, self, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := t.TempDir()
	wrapper := filepath.Join(dir, "launchctl")
	if err := os.WriteFile(wrapper, []byte("#!/bin/sh\n\""+self+"\" hold\ntrue\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	l.helper = wrapper
	c, err := l.newChild("")
	if err != nil {
		t.Fatal(err)
	}
	if c.id.PID == c.started {
		t.Errorf("started %d, which is helper %v", c.started, c.id)
	}
	c.abandon()
	liar := filepath.Join(dir, "liar")
	// It names process 1 as the helper.
	if err := os.WriteFile(liar, []byte("#!/bin/sh\nprintf '\\003\\000\\000\\000\\001\\000\\000\\000' >&4\nexec sleep 60\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	l.helper = liar
	if c, err := l.newChild(""); err == nil {
		t.Errorf("%v passes for a helper", c.id)
	}
}

// What was exchanged between approval and start does not run, wherever it is seen.
func TestWhatWasExchangedDoesNotRun(t *testing.T) {
	self := keeperlaunch(t)
	l, err := newLauncher(linux{}, self, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dir := t.TempDir()
	program, trace := filepath.Join(dir, "program"), filepath.Join(dir, "trace")
	write := func(name string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\necho "+name+" >"+trace+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	held := func() port.Held {
		t.Helper()
		write("program")
		exe, err1 := os.Open(program)
		at, err2 := os.Open("/")
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		defer exe.Close()
		defer at.Close()
		h, err := l.Prepare(t.Context(), port.LaunchSpec{
			As: ground("").As, Executable: exe, Script: program, Argv: []string{program}, Env: []string{"PATH=/bin"}, Dir: at,
		})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	p, err := held().Release(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if status, err := p.Wait(t.Context()); err != nil || status != (core.ExitStatus{}) {
		t.Errorf("%+v, %v", status, err)
	}
	if got, err := os.ReadFile(trace); err != nil || string(got) != "program\n" {
		t.Fatalf("%q, %v: the approved program has not run", got, err)
	}
	os.Remove(trace)
	for what, exchange := range map[string]func(h port.Held){
		"renamed over, seen by the child": func(port.Held) { os.Rename(write("other"), program) },
		"written to, seen by the child":   func(port.Held) { os.WriteFile(program, []byte("#!/bin/sh\necho written >"+trace+"\n"), 0o755) },
		"removed, seen by the child":      func(port.Held) { os.Remove(program) },
		"a link in its place":             func(port.Held) { os.Remove(program); os.Symlink(write("other"), program) },
		"what runs, seen by the service":  func(h port.Held) { h.(*child).sealed.node.Inode++ },
		"its bytes, seen by the service":  func(h port.Held) { h.(*child).sealed.node.Size++ },
	} {
		h := held()
		exchange(h)
		if p, err := h.Release(t.Context()); err == nil {
			t.Errorf("%s: %v was started", what, p.ID())
		} else if !errors.Is(err, ErrChanged) && !errors.Is(err, unix.ENOENT) {
			t.Errorf("%s: %v, want ErrChanged", what, err)
		}
		if got, err := os.ReadFile(trace); err == nil {
			t.Errorf("%s: %q has run", what, got)
		}
		if !l.tree.Empty(h.ID(), h.Group()) {
			t.Errorf("%s: something is left", what)
		}
	}
}

// Another process that is stopped by its terminal's key goes on where the caller's
// shell puts it: the helper tells whoever has the terminal, and does what it asks.
func TestJobControl(t *testing.T) {
	self := keeperlaunch(t)
	l, err := newLauncher(linux{}, self, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	made, err := (terminals{}).Open(core.Identity{})
	if err != nil {
		t.Fatal(err)
	}
	defer made.Close()
	exe, err1 := os.Open("/bin/cat")
	at, err2 := os.Open("/")
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	defer exe.Close()
	defer at.Close()
	h, err := l.Prepare(t.Context(), port.LaunchSpec{
		As: ground("").As, Executable: exe, Argv: []string{"cat"}, Env: []string{"PATH=/bin"}, Dir: at, Terminal: made,
	})
	if err != nil {
		t.Fatal(err)
	}
	p, err := h.Release(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var master, control *os.File
	if err := made.HandOver(func(files ...*os.File) error {
		for i, f := range files {
			fd, err := unix.Dup(int(f.Fd()))
			if err != nil {
				return err
			}
			if master == nil {
				master = os.NewFile(uintptr(fd), "master")
			} else if i == 1 {
				control = os.NewFile(uintptr(fd), "control")
			}
		}
		return nil
	}); err != nil || control == nil {
		t.Fatal(err, control)
	}
	defer master.Close()
	defer control.Close()
	told := func(want syscall.Signal) {
		t.Helper()
		var b [1]byte
		if _, err := control.Read(b[:]); err != nil || syscall.Signal(b[0]) != want {
			t.Fatalf("the helper says %d, %v, want %d", b[0], err, want)
		}
	}
	ask := func(what byte) {
		t.Helper()
		if _, err := control.Write([]byte{what}); err != nil {
			t.Fatal(err)
		}
	}
	echo := func(text string) {
		t.Helper()
		if _, err := master.WriteString(text + "\n"); err != nil {
			t.Fatal(err)
		}
		var shown strings.Builder
		for b := make([]byte, 256); strings.Count(shown.String(), text) < 2; { // as typed, and from cat
			n, err := master.Read(b)
			shown.Write(b[:n])
			if err != nil {
				t.Fatalf("%q, %v", shown.String(), err)
			}
		}
	}
	echo("one")
	master.WriteString("\x1a") // Ctrl-Z
	told(unix.SIGTSTP)
	ask(held.AskForeground)
	echo("two")
	ask(held.AskSuspend)
	told(unix.SIGTSTP)
	ask(held.AskBackground) // it reads, and is stopped for it
	told(unix.SIGTTIN)
	ask(held.AskForeground)
	echo("three")
	master.WriteString("\x04") // end of file
	if status, err := p.Wait(t.Context()); err != nil || status != (core.ExitStatus{}) {
		t.Errorf("%+v, %v", status, err)
	}
}
