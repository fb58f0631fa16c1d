//go:build linux

package caller

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core/door"
	told "kpm/core/signal"
)

// What keepersudo asks before the Go runtime starts is what it asks after it.
func TestRequestsWithoutOptions(t *testing.T) {
	a := newAgent(t)
	language := []string{"TERM=dumb", "LC_ALL=C.UTF-8"}
	for name, tc := range map[string]struct {
		args []string
		env  []string // besides the harness's
		want door.Request
	}{
		"a name":              {args: []string{"id"}, want: door.Request{Command: "id", Argv: []string{"id"}, Env: language}},
		"a path":              {args: []string{"/bin/cat", "-n", "a b"}, want: door.Request{HasExecutable: true, Command: "/bin/cat", Argv: []string{"/bin/cat", "-n", "a b"}, Env: language}},
		"-n":                  {args: []string{"-n", "id", "-n"}, want: door.Request{NonInteractive: true, Command: "id", Argv: []string{"id", "-n"}, Env: language}},
		"--":                  {args: []string{"-n", "--", "id"}, want: door.Request{NonInteractive: true, Command: "id", Argv: []string{"id"}, Env: language}},
		"a single hyphen":     {args: []string{"-"}, want: door.Request{Command: "-", Argv: []string{"-"}, Env: language}},
		"an option behind --": {args: []string{"--", "-n"}, want: door.Request{Command: "-n", Argv: []string{"-n"}, Env: language}},
		"--root":              {args: []string{"--root", a.root, "id"}, env: []string{rootVar + "=/nowhere"}, want: door.Request{Command: "id", Argv: []string{"id"}, Env: language}},
		"an equals sign":      {args: []string{"./a=b"}, want: door.Request{HasExecutable: true, Command: "./a=b", Argv: []string{"./a=b"}, Env: language}},
		"variables": {args: []string{"id"}, env: []string{"LANG=C", "LANGUAGE", "TZ=", "NO_COLOR=1", "COLORTERM=truecolor", "LC_=", "TERMINAL=x", "LANGUAGES=x", "XTERM=y", "="},
			want: door.Request{Command: "id", Argv: []string{"id"}, Env: append(slices.Clone(language), "LANG=C", "LANGUAGE", "TZ=", "NO_COLOR=1", "COLORTERM=truecolor", "LC_=")}},
		"many arguments": {args: append([]string{"id"}, make([]string, 2000)...), want: door.Request{Command: "id", Argv: append([]string{"id"}, make([]string, 2000)...), Env: language}},
		"long arguments": {args: []string{"id", strings.Repeat("x", 90<<10)}, want: door.Request{Command: "id", Argv: []string{"id", strings.Repeat("x", 90<<10)}, Env: language}},
	} {
		t.Run(name, func(t *testing.T) {
			s := a.command(t, tc.args...)
			s.Env = append(s.Env, tc.env...)
			s.Dir = a.root
			must(t, os.WriteFile(a.root+"/a=b", nil, 0o755))
			s.begin()
			v := a.accept(t)
			tc.want.Key, tc.want.NoWait = v.request.Key, true
			if !reflect.DeepEqual(v.request, tc.want) || v.request.Key == (door.Key{}) {
				t.Errorf("got %+v, want %+v", v.request, tc.want)
			}
			files := 4
			if tc.want.HasExecutable {
				files = 5
			}
			if len(v.files) != files || !sameFile(t, v.files[0], a.root) {
				t.Errorf("%d files", len(v.files))
			}
			v.exit(0)
			s.want(0)
		})
	}
}

// A variable that is there twice is what the first one says.
func TestVariablesThatAreThereTwice(t *testing.T) {
	a := newAgent(t)
	environ := append([]string{"LANG=first"}, a.command(t, "id").Env...)
	environ = append(environ, "LANG=second", "TERM=second", rootVar+"=/nowhere")
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	must(t, err)
	defer null.Close()
	// Package exec would drop the others itself.
	attr := &os.ProcAttr{Dir: "/usr", Env: environ, Files: []*os.File{null, null, null}, Sys: a.command(t, "id").SysProcAttr}
	p, err := os.StartProcess(program(), []string{"keepersudo", "id"}, attr)
	must(t, err)
	v := a.accept(t)
	if want := []string{"LANG=first", "TERM=dumb", "LC_ALL=C.UTF-8"}; !slices.Equal(v.request.Env, want) {
		t.Errorf("got %q, want %q", v.request.Env, want)
	}
	v.exit(3)
	state, err := p.Wait()
	must(t, err)
	if state.ExitCode() != 3 {
		t.Errorf("status %d", state.ExitCode())
	}
}

// Attack: root is given an environment that names somebody's own agent.
func TestRootDoesNotTakeTheAgentFromTheEnvironment(t *testing.T) {
	a := newAgent(t)
	s := a.command(t, "id")
	s.SysProcAttr.Credential = nil
	s.begin().status()
	must(t, a.door.SetDeadline(time.Now()))
	if conn, err := a.door.AcceptUnix(); err == nil {
		conn.Close()
		t.Error("it has asked")
	}
}

// The service's words are understood wherever they are cut.
func TestWordsInPieces(t *testing.T) {
	a := newAgent(t)
	notice := door.Append(nil, door.TypeNotice, door.Notice{Text: "noted"}.Encode())
	end := door.Append(door.Append(nil, door.TypeStarted, nil), door.TypeExit, door.Exit{Code: 7}.Encode())
	for name, words := range map[string][]byte{
		"the end": end, "a notice before it": append(slices.Clone(notice), end...), "more after it": append(slices.Clone(end), notice...),
		"the end twice": append(slices.Clone(end), end...), "started sixty times": append(slices.Repeat(end[:5], 60), end...),
	} {
		for _, size := range []int{1, 4, 7, len(words)} {
			s := a.command(t, "id").begin()
			v := a.accept(t)
			v.letGo()
			for piece := range slices.Chunk(words, size) {
				if _, err := v.conn.Write(piece); err != nil {
					break // it has heard enough
				}
			}
			s.want(7)
			if said := s.stderr.String(); strings.Contains(name, "before") != (said == "keepersudo: noted\n") {
				t.Errorf("%s in pieces of %d: %q", name, size, said)
			}
		}
	}
}

// Once the request is sent, signals are the command's, whatever keepersudo does by then.
func TestSignalsRightAfterTheRequest(t *testing.T) {
	a := newAgent(t)
	for range 20 {
		s := a.command(t, "id").begin()
		v := a.accept(t)
		want := []unix.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGALRM, unix.SIGTERM}
		for _, sig := range want {
			must(t, s.Process.Signal(sig))
		}
		v.send(door.TypeStarted, nil)
		var got []unix.Signal
		for range want {
			got = append(got, v.signal())
		}
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Fatalf("forwarded %v", got)
		}
		v.exit(4)
		s.want(4)
	}
}

// A job without a terminal is stopped and goes on with its command, however early.
func TestStoppedRightAfterTheRequest(t *testing.T) {
	a := newAgent(t)
	s := a.command(t, "id").begin()
	v := a.accept(t)
	must(t, s.Process.Signal(unix.SIGTSTP))
	next := func(want told.Signal) {
		t.Helper()
		kind, body := v.next()
		sent, err := door.DecodeSignal(body)
		if kind != door.TypeSignal || err != nil || sent.Signal != want {
			t.Fatalf("frame %d, %+v, %v", kind, sent, err)
		}
	}
	next(told.Suspend)
	next(told.Continue) // no shell could let it go on: its job has nobody else in its session
	v.exit(0)
	s.want(0)
}

// The one that is installed waits in one thread: without the runtime.
func TestThreads(t *testing.T) {
	a := newAgent(t)
	s := a.command(t, "id").begin()
	v := a.accept(t)
	v.send(door.TypeStarted, nil)
	tasks, err := os.ReadDir("/proc/" + itoa(s.Process.Pid) + "/task")
	must(t, err)
	if linked := os.Getenv(programVar) != ""; linked != (len(tasks) == 1) {
		t.Errorf("%d threads", len(tasks))
	}
	v.exit(0)
	s.want(0)
}

// What the service is told of terminals is the same before the Go runtime starts.
func TestRequestsAtATerminal(t *testing.T) {
	for name, tc := range map[string]struct {
		args     []string
		redirect func(*called)
		want     door.Request
	}{
		"all of it":            {want: door.Request{Terminal: true}},
		"-n":                   {args: []string{"-n"}, want: door.Request{Terminal: true, NonInteractive: true, NoWait: true}},
		"output to a pipe":     {redirect: func(s *called) { s.Stdout = &s.stdout }, want: door.Request{Terminal: true}},
		"input from nowhere":   {redirect: func(s *called) { s.Stdin, s.SysProcAttr.Ctty = nil, 1 }, want: door.Request{Terminal: true, Background: true}},
		"only for errors":      {redirect: func(s *called) { s.Stdin, s.Stdout, s.SysProcAttr.Ctty = nil, nil, 2 }, want: door.Request{Terminal: true, Background: true}},
		"in the background":    {redirect: func(s *called) { s.startedBy("shell") }, want: door.Request{Terminal: true, Background: true}},
		"of another's session": {redirect: func(s *called) { s.SysProcAttr.Setctty = false }, want: door.Request{NoWait: true}},
	} {
		t.Run(name, func(t *testing.T) {
			a, w := newAgent(t), newWindow(t)
			s := a.command(t, append(tc.args, "id")...).at(w)
			told, tell, err := os.Pipe()
			must(t, err)
			defer told.Close()
			defer tell.Close()
			s.ExtraFiles = []*os.File{told} // of the shell
			if tc.redirect != nil {
				tc.redirect(s)
			}
			s.begin()
			v := a.accept(t)
			tc.want.Key, tc.want.Command, tc.want.Argv, tc.want.Env = v.request.Key, "id", []string{"id"}, []string{"TERM=dumb", "LC_ALL=C.UTF-8"}
			tc.want.Rows, tc.want.Columns = 30, 90
			if !reflect.DeepEqual(v.request, tc.want) {
				t.Errorf("got %+v, want %+v", v.request, tc.want)
			}
			v.exit(0)
			must(t, tell.Close())
			s.want(0)
		})
	}
}

// Signals that wait when it turns out that the service is gone are for the next one: also
// those by which the runtime, which starts then, would end.
func TestSignalsBesideTheEndOfTheService(t *testing.T) {
	a := newAgent(t)
	s := a.command(t, "id").begin()
	v := a.accept(t)
	v.send(door.TypeStarted, nil)
	must(t, s.Process.Signal(unix.SIGSTOP))
	eventually(t, "it has stopped", func() bool { return state(t, s.Process.Pid) == "T" })
	want := []unix.Signal{unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGUSR1, unix.SIGTERM}
	for _, sig := range want {
		must(t, s.Process.Signal(sig))
	}
	v.letGo()
	must(t, v.conn.Close())
	must(t, s.Process.Signal(unix.SIGCONT))
	v = a.accept(t)
	v.send(door.TypeStarted, nil)
	var got []unix.Signal
	for len(got) < len(want) {
		if sig := v.signal(); sig != unix.SIGCONT {
			got = append(got, sig)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("forwarded %v", got)
	}
	v.exit(6)
	s.want(6)
}

// What a script's trap ignores, or nohup, is not the command's either. Only the one that
// is installed can know of others than SIGHUP and SIGINT.
func TestIgnoredSignals(t *testing.T) {
	linked := os.Getenv(programVar)
	if linked == "" {
		return
	}
	a := newAgent(t)
	s := a.command(t)
	s.Path, s.Args = "/bin/sh", []string{"sh", "-c", `trap "" HUP USR1 TSTP; exec "$0" id`, linked}
	s.begin()
	v := a.accept(t)
	v.send(door.TypeStarted, nil)
	for _, sig := range []unix.Signal{unix.SIGTSTP, unix.SIGHUP, unix.SIGUSR1, unix.SIGUSR2} {
		must(t, s.Process.Signal(sig))
	}
	if got := v.signal(); got != unix.SIGUSR2 {
		t.Errorf("forwarded %v", got)
	}
	v.exit(0)
	s.want(0)
}
