//go:build linux

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"kpm/vmtests/agent"
	"kpm/vmtests/apart"
	"kpm/vmtests/terminal"
)

// shell is a person at a terminal: an interactive shell with job control, or
// whatever else was started there.
type shell struct {
	t    *testing.T
	term *terminal.Terminal
	cmd  *exec.Cmd
	seen int // how much of the screen was looked at
}

// ready is the interactive shell's prompt.
const ready = "READY> "

// newShell starts an interactive shell as user 4242, who has the agent's
// keepersudo on the PATH.
func newShell(t *testing.T, a *agent.Agent) *shell {
	t.Helper()
	s := sitDown(t, a, nil, "bash", "--norc", "--noprofile", "--noediting", "-i")
	s.until(ready)
	return s
}

// sitDown starts a command at a terminal; change may redirect its descriptors.
func sitDown(t *testing.T, a *agent.Agent, change func(cmd *exec.Cmd), argv ...string) *shell {
	t.Helper()
	if err := apart.Person(4242); err != nil {
		t.Fatal(err)
	}
	term, err := terminal.Open(4242, 24, 80)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	if filepath.Base(argv[0]) == argv[0] && argv[0] == "keepersudo" {
		cmd.Path, cmd.Err = filepath.Join(a.Root, "keepersudo"), nil
	}
	cmd.Env = []string{"KEEPER_AGENT_ROOT=" + a.Root, "PATH=" + a.Root + ":/usr/bin:/bin", "LANG=C.UTF-8", "TERM=xterm", "PS1=" + ready, "HISTFILE="}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 4242, Gid: 4242}}
	if change != nil {
		change(cmd)
	}
	term.Attach(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := &shell{t: t, term: term, cmd: cmd}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = term.Close()
		if t.Failed() {
			t.Logf("the screen has %q", term.Output())
		}
	})
	return s
}

// types types keys.
func (s *shell) types(keys string) {
	s.t.Helper()
	if err := s.term.Type(keys); err != nil {
		s.t.Fatal(err)
	}
}

// until waits until text is shown behind what was looked at, and returns what
// was shown before it.
func (s *shell) until(text string) string {
	s.t.Helper()
	var before string
	eventually(s.t, "the screen shows "+text, func() bool {
		shown := s.term.Output()[s.seen:]
		at := strings.Index(shown, text)
		if at >= 0 {
			before, s.seen = shown[:at], s.seen+at+len(text)
		}
		return at >= 0
	})
	return before
}

// does types a line, waits for the prompt and returns what was shown between.
func (s *shell) does(line string) string {
	s.t.Helper()
	s.types(line + "\n")
	s.until("\n")
	return s.until(ready)
}

// ends waits for the end and returns the exit status.
func (s *shell) ends() int {
	s.t.Helper()
	done := make(chan struct{})
	go func() { _ = s.cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(patience):
		s.t.Fatalf("it did not end; shown: %q", s.term.Output())
	}
	return s.cmd.ProcessState.ExitCode()
}

// stops stops the command with Ctrl-Z, and asserts that the shell has its terminal
// back as it was.
func (s *shell) stops(before string) {
	s.t.Helper()
	s.types("\x1a")
	s.until("Stopped")
	s.until(ready)
	s.unchanged(before)
}

// unchanged asserts that stty says of the shell's terminal what it said before.
func (s *shell) unchanged(before string) {
	s.t.Helper()
	if after := s.does("stty -g"); after != before {
		s.t.Errorf("the shell's terminal was\n%s\nand is\n%s", before, after)
	}
}

// settings are the terminal's, for comparison.
func (s *shell) settings() string {
	s.t.Helper()
	cmd := exec.Command("stty", "-g")
	cmd.Stdin = s.term.Slave
	out, err := cmd.Output()
	if err != nil {
		s.t.Fatal(err)
	}
	return string(out)
}

// pipes makes named pipes for everybody, by which a test tells commands when to
// go on.
func pipes(t *testing.T, names ...string) string {
	t.Helper()
	dir := reachable(t)
	for _, name := range names {
		path := filepath.Join(dir, name)
		if err := syscall.Mkfifo(path, 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// lets a command that reads from the pipe go on.
func lets(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, []byte("go\n"), 0); err != nil {
		t.Fatal(err)
	}
}
