//go:build linux

package caller

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core/door"
)

func TestHelpAndVersion(t *testing.T) {
	a := newAgent(t)
	for arg, want := range map[string]string{"--help": "Examples:", "-h": "Examples:", "--version": version, "-V": version} {
		s := a.command(t, arg).begin()
		s.want(0)
		if !strings.Contains(s.stdout.String(), want) {
			t.Errorf("%s prints %q", arg, &s.stdout)
		}
	}
}

func TestRequest(t *testing.T) {
	a := newAgent(t)
	odd := []string{"printf", "", "a b", "--help", "$(id)", "\n", "\xff", "-u", "x"}
	s := a.command(t, append([]string{"-n", "-u", "#17", "--"}, odd...)...).begin()
	v := a.accept(t)
	want := door.Request{Key: v.request.Key, NonInteractive: true, NoWait: true, Command: "printf", TargetUser: "#17", Argv: odd, Env: []string{"TERM=dumb", "LC_ALL=C.UTF-8"}}
	if !reflect.DeepEqual(v.request, want) {
		t.Errorf("got %+v, want %+v", v.request, want)
	}
	if len(v.files) != 4 || !sameFile(t, v.files[0], "/usr") {
		t.Errorf("%d files", len(v.files))
	}
	// The service's hands are on what the caller could open, not on its contents.
	if _, err := v.files[0].Readdirnames(1); err == nil {
		t.Error("the working directory can be read through its handle")
	}
	v.exit(0)
	s.want(0)
}

func TestRequestNamesAProgramByHandle(t *testing.T) {
	a := newAgent(t)
	dir := filepath.Join(a.root, "bin")
	must(t, os.Mkdir(dir, 0o755))
	must(t, os.WriteFile(filepath.Join(dir, "tool"), []byte("#!/bin/sh\n"), 0o755))
	must(t, os.Symlink("tool", filepath.Join(dir, "link")))
	for _, command := range []string{"./tool", "./link", dir + "/tool", "../bin/tool"} {
		s := a.command(t, command)
		s.Dir = dir
		s.begin()
		v := a.accept(t)
		if !v.request.HasExecutable || v.request.Command != command || v.request.Argv[0] != command {
			t.Errorf("%s: %+v", command, v.request)
		}
		if len(v.files) != 5 || !sameFile(t, v.files[4], dir+"/tool") {
			t.Errorf("%s: %d files", command, len(v.files))
		}
		v.exit(0)
		s.want(0)
	}
}

func sameFile(t *testing.T, f *os.File, path string) bool {
	t.Helper()
	got, err := f.Stat()
	must(t, err)
	want, err := os.Stat(path)
	must(t, err)
	return os.SameFile(got, want)
}

// Nothing is asked of the service that keepersudo knows by itself.
func TestCommandThatCannotBeOpened(t *testing.T) {
	a := newAgent(t)
	secret := filepath.Join(a.root, "secret")
	must(t, os.Mkdir(secret, 0o700))
	must(t, os.WriteFile(secret+"/tool", nil, 0o755))
	for command, want := range map[string]int{"./no-such": 127, "/etc/passwd/x": 127, secret + "/tool": 126} {
		s := a.command(t, command).begin()
		s.want(want)
		if !strings.HasPrefix(s.stderr.String(), "keepersudo: "+command+": ") {
			t.Errorf("%s: %q", command, &s.stderr)
		}
	}
	long := strings.Repeat("x", 100<<10)
	s := a.command(t, "echo", long, long).begin()
	s.want(2)
	if !strings.Contains(s.stderr.String(), "too long") {
		t.Errorf("%q", &s.stderr)
	}
}

func TestStatus(t *testing.T) {
	a := newAgent(t)
	refused := func(code string) []byte { return door.Refused{Code: code, Message: "because\x1b[2J"}.Encode() }
	for _, tc := range []struct {
		kind door.Type
		body []byte
		want int
		text string
	}{
		{door.TypeExit, door.Exit{}.Encode(), 0, ""},
		{door.TypeExit, door.Exit{Code: 7}.Encode(), 7, ""},
		{door.TypeExit, door.Exit{Signal: 15}.Encode(), 143, ""},
		{door.TypeRefused, refused(door.CodeDenied), 1, "keepersudo: because\ufffd[2J\n"},
		{door.TypeRefused, refused(door.CodeExpired), 1, "keepersudo: because\ufffd[2J\n"},
		{door.TypeRefused, refused(door.CodeFailed), 1, "keepersudo: because\ufffd[2J\n"},
		{door.TypeRefused, refused(door.CodeUnavailable), 1, "keepersudo: because\ufffd[2J\n"},
		{door.TypeRefused, refused(door.CodeBadRequest), 2, "keepersudo: because\ufffd[2J\n"},
		{door.TypeRefused, refused(door.CodeNotFound), 127, "keepersudo: because\ufffd[2J\n"},
		{door.TypeRefused, []byte{1}, 1, "keepersudo: " + garbled + "\n"},
		{door.TypeExit, []byte{1}, 1, "keepersudo: " + garbled + "\n"},
		{door.TypePrompt, []byte{1}, 1, "keepersudo: " + garbled + "\n"},
		{99, nil, 1, ""},
	} {
		s := a.command(t, "id").begin()
		v := a.accept(t)
		v.letGo()
		v.send(tc.kind, tc.body)
		s.want(tc.want)
		if tc.kind != 99 && s.stderr.String() != tc.text {
			t.Errorf("%d %x: %q, want %q", tc.kind, tc.body, &s.stderr, tc.text)
		}
	}
}

// Attack: somebody prepares an agent root of their own, or changes a real one,
// and waits at its door for secrets.
func TestRootThatOthersCanChange(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil func(a *agent) error
		text  string
	}{
		"fine":                    {func(*agent) error { return nil }, ""},
		"root is another's":       {func(a *agent) error { return os.Chown(a.root, 4242, 0) }, "can be changed"},
		"root is world-writable":  {func(a *agent) error { return os.Chmod(a.root, 0o777|os.ModeSticky) }, "can be changed"},
		"root is group-writable":  {func(a *agent) error { return os.Chmod(a.root, 0o775) }, "can be changed"},
		"socket is another's":     {func(a *agent) error { return os.Chown(filepath.Join(a.root, doorPath), 4242, 0) }, "not a socket of root"},
		"socket is a link":        {relink, "not a socket of root"},
		"socket is gone":          {stopped, "is not running"},
		"nobody listens":          {func(a *agent) error { a.door.SetUnlinkOnClose(false); return a.door.Close() }, "is not running"},
		"a sticky directory":      {func(a *agent) error { return sink(a, 0o777|os.ModeSticky, 0) }, ""},
		"a writable directory":    {func(a *agent) error { return sink(a, 0o777, 0) }, "can be changed"},
		"another's directory":     {func(a *agent) error { return sink(a, 0o755, 4242) }, "can be changed"},
		"another's and sticky":    {func(a *agent) error { return sink(a, 0o777|os.ModeSticky, 4242) }, "can be changed"},
		"a path beyond 107 bytes": {func(a *agent) error { return deepen(a) }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAgent(t)
			top := a.root + "-top"
			t.Cleanup(func() { os.RemoveAll(top) })
			must(t, tc.spoil(a))
			s := a.command(t, "id").begin()
			if tc.text == "" {
				a.accept(t).exit(0)
				s.want(0)
				return
			}
			s.want(1)
			text := s.stderr.String()
			if !strings.HasPrefix(text, "keepersudo: ") || !strings.Contains(text, tc.text) || strings.Count(text, "\n") != 1+strings.Count(text, "waiting") {
				t.Errorf("got %q, want %q", text, tc.text)
			}
		})
	}
}

// stopped is an agent whose service was stopped some time ago.
func stopped(a *agent) error {
	long := time.Now().Add(-time.Minute)
	return errors.Join(os.Remove(filepath.Join(a.root, doorPath)), os.Chtimes(filepath.Join(a.root, filepath.Dir(doorPath)), long, long))
}

func relink(a *agent) error {
	path := filepath.Join(a.root, doorPath)
	if err := os.Rename(path, path+".real"); err != nil {
		return err
	}
	return os.Symlink(path+".real", path)
}

// sink moves the agent into a directory with this mode and owner.
func sink(a *agent, mode os.FileMode, owner int) error {
	top := a.root + "-top"
	if err := os.Mkdir(top, 0o755); err != nil {
		return err
	}
	old := a.root
	a.root = top + "/agent"
	if err := os.Rename(old, a.root); err != nil {
		return err
	}
	if err := os.Chown(top, owner, 0); err != nil {
		return err
	}
	if err := os.Chmod(top, mode); err != nil {
		return err
	}
	return os.Symlink(top, old) // for the cleanup of the socket; followed by nobody
}

func deepen(a *agent) error {
	deep := a.root + "/" + strings.Repeat("d", 120)
	if err := os.Mkdir(deep, 0o755); err != nil {
		return err
	}
	if err := os.Rename(a.root+"/run", deep+"/run"); err != nil {
		return err
	}
	a.root = deep
	return nil
}

// Attack: another process of the same user takes the terminal's master side.
func TestNobodyElseLooksInside(t *testing.T) {
	a := newAgent(t)
	s := a.command(t, "id").begin()
	v := a.accept(t)
	info, err := os.Stat("/proc/" + itoa(s.Process.Pid) + "/fd")
	must(t, err)
	if uid := info.Sys().(*syscall.Stat_t).Uid; uid != 0 {
		t.Errorf("its descriptors are user %d's", uid)
	}
	v.exit(0)
	s.want(0)
}

func TestOutputIsUntouchedWithoutTerminal(t *testing.T) {
	a := newAgent(t)
	s := a.command(t, "cat").begin()
	v := a.accept(t)
	v.send(door.TypeStarted, nil)
	all := bytes.Repeat([]byte("\x00\r\n\xff"), 64)
	_, err := v.files[2].Write(all)
	must(t, err)
	v.exit(3)
	s.want(3)
	if !bytes.Equal(s.stdout.Bytes(), all) {
		t.Errorf("got %x", s.stdout.Bytes())
	}
}

func TestSignals(t *testing.T) {
	a := newAgent(t)
	t.Run("before the command runs they end the request and keepersudo", func(t *testing.T) {
		for _, sig := range []unix.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGUSR1} {
			s := a.command(t, "id").begin()
			v := a.accept(t)
			v.heard(s)
			must(t, s.Process.Signal(sig))
			v.awaits(sig)
			v.refuse(door.CodeDenied, "interrupted")
			if got := s.status(); got != -int(sig) && got != 128+int(sig) {
				t.Errorf("%v: status %d", sig, got)
			}
		}
	})
	t.Run("they are the command's if the service has started it by then", func(t *testing.T) {
		s := a.command(t, "id").begin()
		v := a.accept(t)
		v.heard(s)
		must(t, s.Process.Signal(unix.SIGUSR2))
		v.awaits(unix.SIGUSR2)
		v.send(door.TypeStarted, nil)
		v.exit(9)
		s.want(9)
	})
	t.Run("a service that does not hear them does not hold keepersudo", func(t *testing.T) {
		s := a.command(t, "id").begin()
		v := a.accept(t)
		v.heard(s)
		must(t, s.Process.Signal(unix.SIGINT))
		v.awaits(unix.SIGINT)
		v.letGo()
		if got := s.status(); got != -int(unix.SIGINT) {
			t.Errorf("status %d", got)
		}
	})
	t.Run("then they are the command's", func(t *testing.T) {
		s := a.command(t, "id").begin()
		v := a.accept(t)
		v.send(door.TypeStarted, nil)
		v.heard(s)
		for _, sig := range []unix.Signal{
			unix.SIGINT, unix.SIGQUIT, unix.SIGTERM, unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM,
		} {
			must(t, s.Process.Signal(sig))
			v.awaits(sig)
		}
		v.exit(0)
		s.want(0)
	})
}

// A full service refuses before it has read the request, and closes: what it
// said is heard whether the request was sent by then or not.
func TestRefusedBeforeTheRequest(t *testing.T) {
	a := newAgent(t)
	word := door.Append(nil, door.TypeRefused, door.Refused{Code: door.CodeUnavailable, Message: "full"}.Encode())
	for range 50 {
		s := a.command(t, "id").begin()
		must(t, a.door.SetDeadline(time.Now().Add(20*time.Second)))
		conn, err := a.door.AcceptUnix()
		must(t, err)
		_, err = conn.Write(word)
		must(t, errors.Join(err, conn.Close()))
		s.want(1)
		if s.stderr.String() != "keepersudo: full\n" {
			t.Fatalf("%q", &s.stderr)
		}
	}
}
