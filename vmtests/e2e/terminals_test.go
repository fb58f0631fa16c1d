//go:build linux

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kpm/vmtests/terminal"
)

// TestTerminalOfRedirectedCommands: whatever 0 to 2 are, a command whose caller
// has a terminal has one too, and reads from it when it asks.
func TestTerminalOfRedirectedCommands(t *testing.T) {
	a := newAgent(t, allowAll, nil)
	out, err := os.Create(filepath.Join(reachable(t), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	s := sitDown(t, a, func(cmd *exec.Cmd) {
		null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { null.Close() })
		cmd.Stdin, cmd.Stdout, cmd.Stderr = null, out, out
	}, "keepersudo", "sh", "-c", `stty size </dev/tty; exec >/dev/tty; printf "name? "; read name </dev/tty; echo "hello $name"
stty -echo </dev/tty; printf "secret? "; read secret </dev/tty; stty echo </dev/tty; echo; echo "it has ${#secret} letters"`)
	before := s.settings()
	s.until("name? ")
	s.types("Ada\r")
	s.until("hello Ada")
	s.until("secret? ")
	s.types("Lovelace\r")
	if shown := s.until("it has 8 letters"); strings.Contains(shown, "Lovelace") {
		t.Errorf("the secret is shown: %q", shown)
	}
	if status := s.ends(); status != 0 {
		t.Errorf("status %d", status)
	}
	if after := s.settings(); after != before {
		t.Errorf("settings before %s, after %s", before, after)
	}
	if text, err := os.ReadFile(out.Name()); err != nil || string(text) != "24 80\n" {
		t.Errorf("the command wrote %q, %v", text, err)
	}
}

// TestTwoTerminals: what goes to another terminal than the one that the caller
// sits at goes there, and is a terminal for the command as well.
func TestTwoTerminals(t *testing.T) {
	a := newAgent(t, allowAll, nil)
	other, err := terminal.Open(4242, 33, 111)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	s := sitDown(t, a, func(cmd *exec.Cmd) { cmd.Stderr = other.Slave },
		"keepersudo", "sh", "-c", `test -t 1 && test -t 2 && test "$(tty)" != "$(tty <&2)" || echo "not two terminals"
echo here; echo there >&2; read x; echo "got $x"; stty size; stty size <&2 >&2`)
	s.until("here")
	if err := other.Expect("there", patience); err != nil {
		t.Error(err)
	}
	s.types("this\r")
	s.until("got this")
	s.until("24 80")
	if err := other.Expect("33 111", patience); err != nil {
		t.Error(err)
	}
	if status := s.ends(); status != 0 {
		t.Errorf("status %d", status)
	}
	if shown := s.term.Output(); strings.Contains(shown, "there") || strings.Contains(shown, "not two") || strings.Contains(other.Output(), "here\r") && !strings.Contains(other.Output(), "there\r") {
		t.Errorf("shown here: %q, there: %q", shown, other.Output())
	}
	if strings.Contains(strings.ReplaceAll(other.Output(), "there", ""), "here") {
		t.Errorf("there is shown %q", other.Output())
	}
}
