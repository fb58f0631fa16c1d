package launcher

import (
	"bytes"
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
	"time"

	"go.uber.org/goleak"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/door"
	"kpm/core/signal"
	"kpm/launcher/journal"
	"kpm/launcher/seal"
)

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "launcher")
	if err == nil {
		helper, err = build(dir)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if root := os.Getenv("LAUNCHER_TEST_SERVICE"); root != "" {
		serveForever(root) // this process is to be killed
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		os.RemoveAll(dir)
		os.Exit(code)
	}))
}

func build(dir string) (string, error) {
	if path := os.Getenv("LAUNCHER_TEST_HELPER"); path != "" {
		return path, nil
	}
	path := filepath.Join(dir, "keeperlaunch")
	cmd := exec.Command("go", "build", "-o", path, "kpm/cmd/keeperlaunch")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build keeperlaunch: %w: %s", err, out)
	}
	return path, os.Chmod(dir, 0o755)
}

// newRoot makes an agent root that every user can pass.
func newRoot(t testing.TB) string {
	t.Helper()
	root := t.TempDir()
	if err := errors.Join(os.Chmod(filepath.Dir(root), 0o755), os.Chmod(root, 0o755), os.Mkdir(root+"/run", 0o755)); err != nil {
		t.Fatal(err)
	}
	return root
}

func startMachine(t testing.TB) *machine {
	t.Helper()
	m, err := newMachine(newRoot(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := m.stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return m
}

// nobody is the user that asks.
const nobody core.UserID = "65534"

// call is one submission by user nobody, with pipes for output.
type call struct {
	command string
	argv    []string
	target  string
	env     []string
	dir     string
	stdin   *os.File
	// signals, leave and started serve tests that interfere.
	signals chan signal.Sent
	ctx     context.Context
	started func(master *os.File)
	// key and running say that this process comes back.
	key     door.Key
	running bool
}

// handle opens a file as the kernel lets anyone who can reach it: not for
// reading.
func (m *machine) handle(path string) (*os.File, error) { return m.host.Files.Locate(path) }

// run submits and returns the result and what the command wrote to 1 and 2.
func (m *machine) run(c call) (Result, string, error) {
	if c.dir == "" {
		c.dir = "/"
	}
	if c.ctx == nil {
		c.ctx = context.Background()
	}
	dir, err := os.Open(c.dir)
	if err != nil {
		return Result{}, "", err
	}
	k := Submission{
		Request: seal.Request{
			Peer:    core.Peer{User: nobody, Processes: []core.ProcessID{m.host.Tree.Self()}, SameIdentity: true},
			Command: c.command, TargetUser: c.target, Argv: append([]string{filepath.Base(c.command)}, c.argv...), Dir: dir,
		},
		Key: c.key, Running: c.running, Env: c.env,
	}
	if strings.Contains(c.command, "/") {
		if k.Executable, err = m.handle(c.command); err != nil {
			return Result{}, "", err
		}
	}
	read, write, err := os.Pipe()
	if err != nil {
		return Result{}, "", err
	}
	defer read.Close()
	second, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", write.Fd()), os.O_WRONLY, 0)
	if err != nil {
		return Result{}, "", err
	}
	if k.Streams.Input = c.stdin; c.stdin == nil {
		if k.Streams.Input, err = os.Open(os.DevNull); err != nil {
			return Result{}, "", err
		}
	}
	k.Streams.Output, k.Streams.Error = write, second
	var out bytes.Buffer
	var reading sync.WaitGroup
	reading.Go(func() { io.Copy(&out, read) })
	result := m.Elevate(c.ctx, k, &realCaller{started: c.started}, c.signals)
	reading.Wait()
	return result, out.String(), nil
}

type realCaller struct {
	started func(*os.File)
	master  *os.File
}

func (c *realCaller) Tell(string) error { return nil }

func (c *realCaller) Prompt(context.Context, Prompt, time.Duration) (string, error) {
	return "", core.ErrCancelled
}

func (c *realCaller) HandOver(terminals ...*os.File) error {
	fd, err := unix.Dup(int(terminals[0].Fd()))
	c.master = os.NewFile(uintptr(fd), "master")
	return err
}

func (c *realCaller) Started() error {
	if c.started != nil {
		c.started(c.master)
	}
	return nil
}

func (m *machine) write(t testing.TB, name, content string, mode os.FileMode, owner int) string {
	t.Helper()
	path := filepath.Join(m.root, name)
	err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o600),
		os.Chown(path, owner, owner), os.Chmod(path, mode), os.Chown(filepath.Dir(path), owner, owner))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRealCommands(t *testing.T) {
	m := startMachine(t)
	id, err := os.ReadFile("/usr/bin/id")
	if err != nil {
		t.Fatal(err)
	}
	theirs := m.write(t, "home/id", string(id), 0o755, 65534)
	script := m.write(t, "bin/script", "#!/bin/sh -u\nprintf '%s|' \"$0\" \"$@\"; id -u\n", 0o755, 0)
	theirScript := m.write(t, "home/script", "#!/bin/sh\nprintf '%s|' \"$@\"; id -u; if test -w \"$0\"; then echo writable; fi\n", 0o755, 65534)
	cases := map[string]struct {
		call call
		exit core.ExitStatus
		out  string
	}{
		"as root":              {call{command: "id", argv: []string{"-u"}}, core.ExitStatus{}, "0\n"},
		"as another user":      {call{command: "id", argv: []string{"-u"}, target: "#65534"}, core.ExitStatus{}, "65534\n"},
		"by name":              {call{command: "id", argv: []string{"-un"}, target: "nobody"}, core.ExitStatus{}, "nobody\n"},
		"by path":              {call{command: "/usr/bin/id", argv: []string{"-u"}}, core.ExitStatus{}, "0\n"},
		"a copy":               {call{command: theirs, argv: []string{"-u"}}, core.ExitStatus{}, "0\n"},
		"a copy, another user": {call{command: theirs, argv: []string{"-u"}, target: "#65534"}, core.ExitStatus{}, "65534\n"},
		"argv as it is":        {call{command: "printf", argv: []string{"[%s]", "a b", "", "$HOME", "*", ";id", "--", "\n"}}, core.ExitStatus{}, "[a b][][$HOME][*][;id][--][\n]"},
		"exit status":          {call{command: "sh", argv: []string{"-c", "exit 7"}}, core.ExitStatus{Code: 7}, ""},
		"signal":               {call{command: "sh", argv: []string{"-c", "kill -TERM $$"}}, core.ExitStatus{Signal: 15}, ""},
		"umask":                {call{command: "sh", argv: []string{"-c", "umask"}}, core.ExitStatus{}, "0022\n"},
		"directory":            {call{command: "pwd", dir: "/usr/share"}, core.ExitStatus{}, "/usr/share\n"},
		"stderr":               {call{command: "sh", argv: []string{"-c", "echo e >&2"}}, core.ExitStatus{}, "e\n"},
		"descriptors":          {call{command: "sh", argv: []string{"-c", "ls /proc/$$/fd"}}, core.ExitStatus{}, "0\n1\n2\n"},
		"script":               {call{command: script, argv: []string{"a b", ""}}, core.ExitStatus{}, script + "|a b||0\n"},
		"their script":         {call{command: theirScript, argv: []string{"a b"}}, core.ExitStatus{}, "a b|0\nwritable\n"}, // root may write anything
		"their script, as one": {call{command: theirScript, argv: []string{"a b"}, target: "#65534"}, core.ExitStatus{}, "a b|65534\n"},
		"environment": {call{command: "env", env: []string{"TERM=vt100", "LD_PRELOAD=/x", "PATH=/tmp"}, target: "#65534"}, core.ExitStatus{},
			"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nHOME=/nonexistent\nSHELL=/usr/sbin/nologin\nUSER=nobody\nLOGNAME=nobody\n" +
				"SUDO_USER=nobody\nSUDO_UID=65534\nSUDO_GID=65534\nSUDO_COMMAND=/usr/bin/env\nKEEPER_REQUEST_ID=*\nKEEPER_REQUESTING_USER=nobody\nKEEPER_REQUESTING_USER_ID=65534\nTERM=vt100\n"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r, out, err := m.run(c.call)
			if before, after, ok := strings.Cut(out, "KEEPER_REQUEST_ID="); ok {
				_, after, _ = strings.Cut(after, "\n")
				out = before + "KEEPER_REQUEST_ID=*\n" + after
			}
			if err != nil || r.Refused != nil || r.Exit != c.exit || out != c.out {
				t.Errorf("%+v %+v %v: %q, expected %q", r.Exit, r.Refused, err, out, c.out)
			}
		})
	}
	copies, err := os.ReadDir(m.root + "/run/exec")
	if err != nil || len(copies) != 0 {
		t.Errorf("%d copies are left (%v)", len(copies), err)
	}
	m.leftovers.looks.Wait()
	for _, r := range m.records(t, journal.Launched) {
		peer := core.Peer{User: "0", Administrator: true, Processes: []core.ProcessID{r.Child.ID()}, SameIdentity: true}
		if who, root := m.registry.Identify(peer); root != (core.ProcessID{}) {
			t.Errorf("still registered: %+v in %v", who, root)
		}
	}
	if left := m.records(t, journal.Left); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestRealRefusals(t *testing.T) {
	m := startMachine(t)
	interpreter := m.write(t, "home/sh", "#!/bin/sh\n", 0o755, 65534)
	link := filepath.Join(m.root, "home/link")
	if err := os.Symlink("/bin/sh", link); err != nil {
		t.Fatal(err)
	}
	fifo := filepath.Join(m.root, "home/fifo")
	if out, err := exec.Command("mkfifo", fifo).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	cases := map[string]struct{ command, code, says string }{
		"a FIFO":                   {fifo, "bad-request", "not a regular file"},
		"a device":                 {"/dev/null", "bad-request", "not a regular file"},
		"a directory":              {"/usr/bin", "bad-request", "not a regular file"},
		"not executable":           {m.write(t, "home/text", "x", 0o644, 65534), "bad-request", "not executable"},
		"no such program":          {"no-such-program", "not-found", "no-such-program"},
		"no program at all":        {m.write(t, "home/empty", "", 0o755, 65534), "failed", "could not be started"},
		"interpreter of theirs":    {m.write(t, "home/s1", "#!"+interpreter+"\n", 0o755, 65534), "bad-request", "interpreter"},
		"their link to sh":         {m.write(t, "home/s2", "#!"+link+"\n", 0o755, 65534), "bad-request", "interpreter"},
		"interpreter is a FIFO":    {m.write(t, "home/s3", "#!"+fifo+"\n", 0o755, 65534), "bad-request", "interpreter"},
		"interpreter is a device":  {m.write(t, "home/s4", "#!/dev/zero\n", 0o755, 65534), "bad-request", "interpreter"},
		"interpreter is a script":  {m.write(t, "home/s5", "#!/usr/bin/ldd\n", 0o755, 65534), "bad-request", "interpreter"},
		"root's, with their link":  {m.write(t, "bin/s6", "#!"+link+"\n", 0o755, 0), "bad-request", "interpreter"},
		"a line that is too long":  {m.write(t, "home/s7", "#!/bin/sh "+strings.Repeat(" ", 300)+"\n", 0o755, 65534), "bad-request", "first line"},
		"an interpreter's trailer": {m.write(t, "home/s8", "#!/bin/sh\r\n", 0o755, 65534), "bad-request", "interpreter"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r, out, err := m.run(call{command: c.command})
			if err != nil || r.Refused == nil || r.Refused.Code != c.code || !strings.Contains(r.Refused.Message, c.says) || out != "" {
				t.Errorf("%+v %v %q", r.Refused, err, out)
			}
		})
	}
}
