//go:build linux

package e2e

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// TestTwoAtOneTerminal: two keepersudo of one job, of which the first to come
// goes first, leave the terminal as it was, and one at a time has the keyboard.
func TestTwoAtOneTerminal(t *testing.T) {
	a := newAgent(t, allowAll, nil)
	dir := pipes(t, "first", "second", "up")
	first, second, up := filepath.Join(dir, "first"), filepath.Join(dir, "second"), filepath.Join(dir, "up")
	s := sitDown(t, a, nil, "sh", "-c", `exec 3<&0
keepersudo sh -c "echo one-up; read x <$1; echo one-gone" <&3 & one=$!
read x <$3
keepersudo sh -c "echo two-up; read x <$2; read y; echo got \$y" <&3 & two=$!
wait $one; echo first-over
wait $two
echo over`, "sh", first, second, up)
	before := s.settings()
	s.until("one-up")
	lets(t, up)
	s.until("two-up")
	lets(t, first)
	s.until("first-over")
	lets(t, second)
	eventually(t, "it is the second one's turn", func() bool {
		settings, err := s.term.Settings()
		return err == nil && settings.Lflag&syscall.ICANON == 0
	})
	s.types("this\r")
	s.until("got this")
	s.until("over")
	if status := s.ends(); status != 0 {
		t.Errorf("status %d", status)
	}
	if after := s.settings(); after != before {
		t.Errorf("settings before %s, after %s", before, after)
	}
}

// TestTwoQuestionsAtOneTerminal: each program's reason is recorded for that
// program.
func TestTwoQuestionsAtOneTerminal(t *testing.T) {
	a := newAgent(t, justifyAll, nil)
	s := sitDown(t, a, nil, "sh", "-c", `exec 3<&0
keepersudo id -u <&3 & keepersudo whoami; wait; echo over`)
	before := s.settings()
	for range 2 {
		s.until("Reason for running ")
		program := s.until(" as root (request ")
		s.until("): ")
		// As long as it takes to think, and for the other one to ask as well.
		eventually(t, "both wait", func() bool {
			waiting := 0
			for _, types := range journal(t, a) {
				if strings.Contains(strings.Join(types, " "), "pending") {
					waiting++
				}
			}
			return waiting == 2
		})
		s.types("because of " + filepath.Base(program) + "\r")
	}
	s.until("over")
	s.ends()
	out, err := a.Admin(t.Context(), "audit", "tail", "-n", "100", "--json")
	if err != nil {
		t.Fatal(err)
	}
	programs, reasons := map[string]string{}, 0
	for line := range strings.Lines(out) {
		var r struct {
			Type, Request, Message string
			Program                struct{ Path string }
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if r.Program.Path != "" {
			programs[r.Request] = filepath.Base(r.Program.Path)
		}
		if r.Type == "control" {
			reasons++
			if r.Message != "because of "+programs[r.Request] {
				t.Errorf("%s has the reason %q", programs[r.Request], r.Message)
			}
		}
	}
	if reasons != 2 {
		t.Errorf("%d reasons are recorded:\n%s", reasons, out)
	}
	if after := s.settings(); after != before {
		t.Errorf("settings before %s, after %s", before, after)
	}
}

// TestStoppedAtTheQuestion: to stop there and to come back is no answer, and
// what was typed does not reach the shell.
func TestStoppedAtTheQuestion(t *testing.T) {
	s := newShell(t, newAgent(t, justifyAll, nil))
	before := s.does("stty -g")
	s.types("keepersudo id -u\n")
	s.until("Reason for running")
	s.until(": ")
	s.types("half a rea")
	s.until("half a rea")
	s.stops(before)
	s.types("fg\n")
	s.until("Reason for running")
	s.until(": ")
	s.types("the whole reason\r")
	s.until("\n0\r\n")
	s.until(ready)
	s.unchanged(before)
}

// TestContinuedAtTheQuestion: SIGCONT is no answer either.
func TestContinuedAtTheQuestion(t *testing.T) {
	s := newShell(t, newAgent(t, justifyAll, nil))
	number := filepath.Join(reachable(t), "number")
	if err := errors.Join(os.WriteFile(number, nil, 0o666), os.Chmod(number, 0o666)); err != nil {
		t.Fatal(err)
	}
	s.types("sh -c 'echo $$ >" + number + "; exec keepersudo id -u'\n")
	s.until("Reason for running")
	s.until(": ")
	text, err := os.ReadFile(number)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err == nil {
		err = syscall.Kill(pid, syscall.SIGCONT)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.until("Reason for running") // again
	s.until(": ")
	s.types("a reason\r")
	s.until("\n0\r\n")
	s.until(ready)
}
