//go:build linux

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// lasting goes on for a second from when there is a file "go" in a directory, and
// then makes a file "done" there. A hangup ends it.
const lasting = `cd %s; touch up; while ! test -e go; do sleep 0.02; done
i=0; while test $i -lt 50; do echo line; sleep 0.02; i=$((i+1)); done; touch done`

// TestHangup: when the terminal goes, what runs in its background, or was started
// with nohup, goes on, as it would without keepersudo.
func TestHangup(t *testing.T) {
	a := newAgent(t, allowAll, nil)
	for name, line := range map[string]string{
		"background":           `keepersudo sh -c "$c" &`,
		"redirected":           `keepersudo sh -c "$c" </dev/null >/dev/null 2>&1 &`,
		"nohup":                `nohup keepersudo sh -c "$c" >/dev/null 2>&1 &`,
		"nohup, with terminal": `(trap "" HUP; exec keepersudo sh -c "$c") &`,
	} {
		t.Run(name, func(t *testing.T) {
			dir := reachable(t)
			s := sitDown(t, a, func(cmd *exec.Cmd) {
				cmd.Env = append(cmd.Env, "c="+fmt.Sprintf(lasting, dir))
			}, "bash", "--norc", "--noprofile", "--noediting", "-i")
			s.until(ready)
			s.types(line + "\n")
			made := func(name string) func() bool {
				return func() bool { _, err := os.Stat(filepath.Join(dir, name)); return err == nil }
			}
			eventually(t, "the command runs", made("up"))
			s.types("exit\n")
			_ = s.cmd.Wait()
			if err := s.term.Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the command has ended as it wanted to", made("done"))
		})
	}
	t.Run("foreground", func(t *testing.T) {
		marker := fmt.Sprintf("5%08d", time.Now().UnixNano()%1e8)
		s := newShell(t, a)
		s.types("keepersudo sleep " + marker + "\n")
		eventually(t, "the command runs", func() bool { return len(started(t, "sleep", marker)) == 1 })
		if err := s.term.Close(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "it has ended with its terminal", func() bool { return len(started(t, "sleep", marker)) == 0 })
	})
}

// TestLineEnds: a line that has been through two terminals has one end.
func TestLineEnds(t *testing.T) {
	a := newAgent(t, allowAll, nil)
	for _, line := range []string{
		"keepersudo echo LINE", "keepersudo echo LINE </dev/null", "true | keepersudo echo LINE", "keepersudo echo LINE & wait",
		"keepersudo sh -c 'echo LINE >&2' </dev/null | cat",
	} {
		s := sitDown(t, a, nil, "sh", "-c", line)
		s.until("LINE\r\n")
		if status := s.ends(); status != 0 {
			t.Errorf("%s: status %d", line, status)
		}
	}
}
