//go:build linux

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"kpm/vmtests/agent"
	"kpm/vmtests/apart"
)

// menu is what keeperAgent shows when it waits for what is typed, and listens.
const menu = "e exit: "

// waitsElsewhere has a person run keeperAgent --approval at a terminal.
func waitsElsewhere(t *testing.T, a *agent.Agent, uid uint32) *shell {
	t.Helper()
	if err := apart.Person(uid); err != nil {
		t.Fatal(err)
	}
	s := sitDown(t, a, func(cmd *exec.Cmd) {
		cmd.Path, cmd.Err = filepath.Join(a.Root, "keeperAgent"), nil
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uid, Gid: uid}
	}, "keeperAgent", "--approval")
	s.until(menu)
	return s
}

// headless is a request without a terminal.
type headless struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  strings.Builder
	done chan error
}

func asksHeadless(t *testing.T, a *agent.Agent, args ...string) *headless {
	t.Helper()
	h := &headless{t: t, cmd: a.Sudo(t.Context(), 4242, args...), done: make(chan error, 1)}
	h.cmd.Stdin = strings.NewReader("not an answer\n")
	h.cmd.Stdout, h.cmd.Stderr = &h.out, &h.out
	if err := h.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { h.done <- h.cmd.Wait() }()
	return h
}

// ended waits for the end and returns what was said and the status.
func (h *headless) ended() (string, int) {
	h.t.Helper()
	ended := false
	eventually(h.t, "keepersudo ends", func() bool {
		select {
		case <-h.done:
			ended = true
		default:
		}
		return ended
	})
	return h.out.String(), h.cmd.ProcessState.ExitCode()
}

var toldElsewhere = regexp.MustCompile(`request ([A-Z2-7]{6}): answer the question that keeperAgent shows at another terminal of yours`)

// TestAskedAtAnotherTerminal: a request that has no terminal, as a coding agent's and a
// scheduled job's, asks the person where they have keeperAgent. What is asked shows what
// would run, and the code that the asking process has; what is typed is verified, shown to
// nobody, and crosses nothing of that process's.
func TestAskedAtAnotherTerminal(t *testing.T) {
	a := newAgent(t, strings.Replace(mfaAll, `["MFA"]`, `["MFA","JUSTIFY"]`, 1), nil)
	e := enrolls(t, a)
	s := waitsElsewhere(t, a, 4242)
	before := s.settings()
	h := asksHeadless(t, a, "printf", "%s|", "\x1b[2Jx", "y z")
	shown := s.until("Enter your code: (Escape refuses) ")
	for _, want := range []string{"Program: /usr/bin/printf", "Runs as: root", `Command: printf '%s|' '\x1B[2Jx' 'y z'`} {
		if !strings.Contains(shown, want) {
			t.Errorf("%q is not in %q", want, shown)
		}
	}
	s.types("12345\r") // which no code is
	s.until("wrong")
	s.until("(Escape refuses) ")
	code := e.code(t, 0)
	s.types(code + "\r")
	s.until("Why do you need it? (Escape refuses) ")
	s.types("the disk is full\r")
	s.until(menu)
	out, status := h.ended()
	told := toldElsewhere.FindStringSubmatch(out)
	if status != 0 || told == nil || !strings.HasSuffix(out, "\x1b[2Jx|y z|") {
		t.Fatalf("status %d: %q", status, out)
	}
	if !strings.Contains(shown, "Request: "+told[1]) {
		t.Errorf("code %s is not in %q", told[1], shown)
	}
	if strings.Contains(s.term.Output()+out+a.Log(), code) {
		t.Error("the code is shown, or in the log")
	}
	if after := s.settings(); after != before {
		t.Errorf("the terminal was %s, and is %s", before, after)
	}
	// What was entered here serves no other request that has no terminal.
	h = asksHeadless(t, a, "id", "-u")
	s.until("Enter your code: (Escape refuses) ")
	s.types("\x1b")
	s.until(menu)
	if out, status := h.ended(); status != 1 || !strings.Contains(out, "you entered no code") {
		t.Errorf("Escape: status %d: %q", status, out)
	}
	s.types("e\r")
	if status := s.ends(); status != 0 {
		t.Errorf("status %d", status)
	}
}

// TestWhoGoesHasDenied: keeperAgent that is interrupted or killed while it asks has denied
// the request, long before the time of a question is over.
func TestWhoGoesHasDenied(t *testing.T) {
	a := newAgent(t, justifyAll, nil)
	for name, ends := range map[string]func(s *shell){
		"Ctrl-C": func(s *shell) { s.types("\x03") },
		"Ctrl-D": func(s *shell) { s.types("\x04") },
		"killed": func(s *shell) {
			if err := s.cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		},
	} {
		s := waitsElsewhere(t, a, 4242)
		before := s.settings()
		h := asksHeadless(t, a, "id", "-u")
		s.until("Why do you need it? (Escape refuses) ")
		ends(s)
		if out, status := h.ended(); status != 1 || !strings.Contains(out, "you gave no reason") {
			t.Errorf("%s: status %d: %q", name, status, out)
		}
		s.ends()
		if after := s.settings(); name != "killed" && after != before {
			t.Errorf("%s: the terminal was %s, and is %s", name, before, after)
		}
	}
	// A request that is not waited for any more is over there too.
	s := waitsElsewhere(t, a, 4242)
	h := asksHeadless(t, a, "id", "-u")
	s.until("Why do you need it? (Escape refuses) ")
	if err := h.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	h.ended()
	s.until("This question is over.")
	s.until(menu)
}

// TestOneQuestionAtATimeElsewhere: two requests of one person ask one after the other,
// though two terminals would be there.
func TestOneQuestionAtATimeElsewhere(t *testing.T) {
	a := newAgent(t, justifyAll, nil)
	s := waitsElsewhere(t, a, 4242)
	first := asksHeadless(t, a, "printf", "first")
	s.until("Command: printf first")
	s.until("(Escape refuses) ")
	second := asksHeadless(t, a, "printf", "second")
	eventually(t, "the second request waits", func() bool {
		pending := 0
		for _, types := range journal(t, a) {
			if strings.Join(types, " ") == "opened evaluating pending" {
				pending++
			}
		}
		return pending == 2
	})
	s.types("to know\r")
	if out, status := first.ended(); status != 0 || !strings.HasSuffix(out, "first") {
		t.Errorf("status %d: %q", status, out)
	}
	if shown := s.until("Command: printf second"); strings.Contains(shown, "Command: printf first") {
		t.Errorf("%q", shown)
	}
	s.until("(Escape refuses) ")
	s.types("to know as well\r")
	if out, status := second.ended(); status != 0 || !strings.HasSuffix(out, "second") {
		t.Errorf("status %d: %q", status, out)
	}
}

// advice is what a refusal says where nobody could be asked.
const advice = "run keeperAgent --approval in another terminal"

// TestNobodyElseIsAsked: neither another user's keeperAgent, nor one that whoever makes
// the request has started, is asked; the refusal says what to do.
func TestNobodyElseIsAsked(t *testing.T) {
	a := newAgent(t, justifyAll, nil)
	other := waitsElsewhere(t, a, 4243)
	if out, status := asksHeadless(t, a, "id", "-u").ended(); status != 1 || !strings.Contains(out, advice) {
		t.Errorf("with another user's: status %d: %q", status, out)
	}
	if shown := other.term.Output(); strings.Contains(shown, "Escape") || strings.Contains(shown, "/usr/bin/id") {
		t.Errorf("another user is shown %q", shown)
	}

	dir := reachable(t)
	if err := os.Chown(dir, 4242, 4242); err != nil {
		t.Fatal(err)
	}
	s := newShell(t, a)
	s.does("{ until test -e " + dir + "/go; do sleep 0.1; done; setsid -w keepersudo id -u </dev/null >" + dir + "/out 2>&1; echo \"status $?\" >>" + dir + "/out; } &")
	s.types("keeperAgent --approval\n")
	s.until(menu)
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	var out string
	eventually(t, "the request has ended", func() bool {
		text, _ := os.ReadFile(filepath.Join(dir, "out"))
		out = string(text)
		return strings.Contains(out, "status ")
	})
	if !strings.Contains(out, "status 1") || !strings.Contains(out, advice) {
		t.Errorf("what the same shell has started: %q", out)
	}
	if shown := s.term.Output(); strings.Contains(shown, "Escape") {
		t.Errorf("it is shown %q", shown)
	}
	s.types("e\r")
	s.until(ready)
}

// TestWhoIsNotAsked: keeperAgent that a coding agent runs, at a terminal that it has made,
// or that has a terminal open and is at none, says that it is not asked, and is not.
func TestWhoIsNotAsked(t *testing.T) {
	a := newAgent(t, justifyAll, nil)
	dir := reachable(t)
	codex := filepath.Join(dir, "codex")
	if err := os.WriteFile(codex, []byte("#!/bin/sh\nkeeperAgent --approval; :\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct{ command, says string }{
		"a coding agent's": {codex, "this process belongs to a coding agent"},
		"at no terminal":   {"setsid -w keeperAgent --approval", "this process has none"},
	} {
		s := newShell(t, a)
		s.types(tc.command + "\n")
		s.until("is not asked here: ")
		if shown := s.until(menu); !strings.Contains(shown, tc.says) {
			t.Errorf("%s: %q", name, shown)
		}
		if out, status := asksHeadless(t, a, "id", "-u").ended(); status != 1 || !strings.Contains(out, advice) {
			t.Errorf("%s: status %d: %q", name, status, out)
		}
		if shown := s.term.Output(); strings.Contains(shown, "Escape") {
			t.Errorf("%s is shown %q", name, shown)
		}
		s.types("e\r")
		s.until(ready)
	}
}
