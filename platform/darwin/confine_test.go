//go:build linux

package darwin

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kpm/platform/darwin/confined"
	"kpm/platform/darwin/kernel"
	"kpm/platform/none"
	"kpm/trust/reader"
)

// The Confiner and keeperreader are plain Unix but for the sandbox, the bound of
// memory and what the kernel says, for which a filter, a note and /proc stand in here.

// confiningLinux stands in for macOS.
type confiningLinux struct {
	linux
	limited sync.Map // processes whose memory is bounded
}

var _ confining = (*confiningLinux)(nil)

func (l *confiningLinux) limitMemory(pid int) error {
	l.limited.Store(pid, true)
	return nil
}

func (l *confiningLinux) confinedFacts(pid int) (f confinedFacts, err error) {
	var found bool
	if f.process, found = l.process(pid); !found {
		return f, unix.ESRCH
	}
	dir := "/proc/" + strconv.Itoa(pid)
	status, err := os.ReadFile(dir + "/status")
	if err != nil {
		return f, err
	}
	fields := map[string][]string{}
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		fields[name] = strings.Fields(value)
	}
	number := func(s string) uint32 { n, _ := strconv.ParseUint(s, 10, 32); return uint32(n) }
	p := &f.process
	p.RealUser, p.User, p.SavedUser = number(fields["Uid"][0]), number(fields["Uid"][1]), number(fields["Uid"][2])
	p.RealGroup, p.SavedGroup = number(fields["Gid"][0]), number(fields["Gid"][2])
	for _, group := range fields["Groups"] {
		f.groups = append(f.groups, number(group))
	}
	if f.path, err = os.Readlink(dir + "/exe"); err != nil {
		return f, err
	}
	open, err := os.ReadDir(dir + "/fd")
	if err != nil {
		return f, err
	}
	for _, entry := range open {
		d := kernel.Descriptor{Number: int32(number(entry.Name())), Kind: kernel.KindFile}
		leads, err := os.Readlink(dir + "/fd/" + entry.Name())
		switch {
		case err != nil:
			return f, err
		case strings.HasPrefix(leads, "socket:"):
			d.Kind = kernel.KindSocket
		case strings.HasPrefix(leads, "anon_inode:[event"):
			d.Kind = kernel.KindQueue
		}
		f.descriptors = append(f.descriptors, d)
	}
	if f.sandboxed = fields["Seccomp"][0] == "2"; !f.sandboxed {
		f.allowed = forbidden
	}
	if _, limited := l.limited.Load(pid); limited {
		f.memory = kernel.FatalMemoryLimit(confined.MaxMemory)
	}
	return f, nil
}

// standInReader returns a path to the stand-in for keeperreader, called name, where
// everybody may execute it. It is built once.
func standInReader(t *testing.T, name string) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "kpm-reader-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755))
	path := filepath.Join(dir, name)
	must(t, os.WriteFile(path, readerProgram(), 0o755))
	return path
}

var readerProgram = sync.OnceValue(func() []byte {
	dir, err := os.MkdirTemp("", "kpm-reader-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, confined.Name)
	build := exec.Command("go", "build", "-ldflags", "-s -w", "-o", path, "./testdata/reader")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		panic(string(out))
	}
	program, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	return program
})

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// confinerOf returns a Confiner of the program at path that ends with the test.
func confinerOf(t *testing.T, path string) *Confiner {
	t.Helper()
	c := newConfiner(&confiningLinux{}, func() (string, error) { return path, nil })
	t.Cleanup(func() { must(t, c.Close()) })
	return c
}

// script is a file and what is asked about it.
func script(t *testing.T) (*os.File, *reader.Question) {
	t.Helper()
	const text = "#!/bin/sh\n"
	path := filepath.Join(t.TempDir(), "script")
	must(t, os.WriteFile(path, []byte(text), 0o600)) // nobody but root may open it
	f, err := os.Open(path)
	must(t, err)
	t.Cleanup(func() { f.Close() })
	facts, err := reader.Gather(none.Signatures{}, f) // those of macOS, as far as files carry them
	must(t, err)
	return f, &reader.Question{Size: int64(len(text)), Now: time.Now(), Facts: facts, Protected: true}
}

// A reader reads what it is handed, one file after the other, and leaves the
// service's own offset alone.
func TestAReader(t *testing.T) {
	stray, err := unix.Open("/etc/passwd", unix.O_RDONLY, 0) // as the service's parent may have left
	must(t, err)
	defer unix.Close(stray)
	pool, err := reader.NewPool(confinerOf(t, standInReader(t, "reader")), &reader.Bundle{}, reader.Limits{Most: 1})
	must(t, err)
	defer pool.Close()
	must(t, pool.Start(t.Context()))
	f, q := script(t)
	for range 3 {
		if v, err := pool.Read(t.Context(), f, q); err != nil || v.Format != "script" {
			t.Fatalf("%+v, %v", v, err)
		}
	}
	if at, err := f.Seek(0, 1); err != nil || at != 0 {
		t.Errorf("our own offset is %d, %v", at, err)
	}
}

// Attack: a process of the same user stops readers, or looks into them.
func TestEveryReaderIsAUserOfItsOwn(t *testing.T) {
	c := confinerOf(t, standInReader(t, "reader"))
	users := map[uint32]bool{}
	for range 2 {
		p, err := c.Start(t.Context())
		must(t, err)
		defer p.Close()
		user := p.(*confinedProcess).user
		if users[user] || user < firstConfined || user >= firstConfined+confinedIDs {
			t.Errorf("user %d, there are %v", user, users)
		}
		users[user] = true
		if env, err := os.ReadFile("/proc/" + strconv.Itoa(p.ID().PID) + "/environ"); err != nil || string(env) != strings.Join(confined.Environ, "\x00")+"\x00" {
			t.Errorf("its environment is %q, %v", env, err)
		}
		limits, err := os.ReadFile("/proc/" + strconv.Itoa(p.ID().PID) + "/limits")
		must(t, err)
		for _, row := range []string{"Max cpu time 120 120", "Max open files 16 16", "Max processes 32 32", "Max file size 0 0", "Max core file size 0 0", "Max locked memory 0 0"} {
			if !strings.Contains(strings.Join(strings.Fields(string(limits)), " "), row) {
				t.Errorf("not limited: %s", row)
			}
		}
	}
}

// A reader that cannot confine itself says so and reads nothing, one that only says
// that it is confined is found out, and none of them looks like a system on which no
// file can carry a signature.
func TestReadersThatAreNotUsed(t *testing.T) {
	for name, says := range map[string]string{
		"lost":        "it could not find the functions of macOS: there is no such function",
		"endless":     "it could not have an end: signal: invalid argument",
		"refused":     "it could not enter its sandbox: sandbox_init: no such profile",
		"unsandboxed": "it could not see that its sandbox holds: /: it can still open files",
		"liar":        "it is in no sandbox",
	} {
		c := confinerOf(t, standInReader(t, name))
		p, err := c.Start(t.Context())
		if err == nil {
			p.Close()
		}
		if err == nil || !strings.Contains(err.Error(), says) || errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %v, want %q", name, err, says)
		}
	}
	for _, path := range []string{"/bin/true", "/nonexistent", "/etc/passwd", "/tmp"} {
		if p, err := confinerOf(t, path).Start(t.Context()); err == nil || errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: %v, %v", path, p, err)
		}
	}
	missing := newConfiner(&confiningLinux{}, func() (string, error) { return "", errors.ErrUnsupported })
	defer missing.Close()
	if _, err := missing.Start(t.Context()); err == nil || errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a program that is not there: %v", err)
	}
}

// unlimited is a system that bounds no memory, and forgetful one that says it does.
type (
	unlimited struct{ confiningLinux }
	forgetful struct{ confiningLinux }
)

func (*unlimited) limitMemory(int) error { return unix.ENOTSUP }
func (*forgetful) limitMemory(int) error { return nil }

// A version of macOS that cannot bound a reader's memory has no readers.
func TestAReaderWithoutABoundOfMemory(t *testing.T) {
	path := standInReader(t, "reader")
	for says, on := range map[string]confining{unix.ENOTSUP.Error(): &unlimited{}, "its memory is limited to": &forgetful{}} {
		c := newConfiner(on, func() (string, error) { return path, nil })
		if p, err := c.Start(t.Context()); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, %v, want %q", p, err, says)
		}
		must(t, c.Close())
	}
}

// A reader whose processor time is over ends, whatever it is doing: macOS only sends
// it a signal.
func TestAReaderWithoutTimeEnds(t *testing.T) {
	p, err := confinerOf(t, standInReader(t, "reader")).Start(t.Context())
	must(t, err)
	defer p.Close()
	must(t, p.SetDeadline(time.Now().Add(30*time.Second)))
	must(t, unix.Kill(p.ID().PID, unix.SIGXCPU))
	if n, err := p.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("it says %d bytes, %v", n, err)
	}
}

func TestNoReaderOutlivesItsConfiner(t *testing.T) {
	c := newConfiner(&confiningLinux{}, func() (string, error) { return standInReader(t, "reader"), nil })
	p, err := c.Start(t.Context())
	must(t, err)
	must(t, c.Close())
	if now, found := (linux{}).process(p.ID().PID); found && now.Start == p.ID().Start && !now.Zombie {
		t.Errorf("it is alive: %+v", now)
	}
	if _, err := c.Start(t.Context()); err == nil || errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a closed Confiner: %v", err)
	}
}
