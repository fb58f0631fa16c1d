//go:build linux

package e2e

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// state is that of the only process that runs exactly argv: T if it is stopped.
func state(t *testing.T, argv ...string) string {
	t.Helper()
	pids := started(t, argv...)
	if len(pids) != 1 {
		return fmt.Sprintf("%d processes", len(pids))
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pids[0]))
	if err != nil {
		t.Fatal(err)
	}
	_, after, _ := bytes.Cut(stat, []byte(") "))
	return string(after[:1])
}

// pairs stops a process and has it go on, with up to 160 us between, and says so if it
// stays stopped.
const pairs = `import os, signal, sys, time
process = int(sys.argv[1])
for between in range(0, 160, 4):
    os.kill(process, signal.SIGTSTP)
    began = time.perf_counter()
    while (time.perf_counter() - began) * 1e6 < between:
        pass
    os.kill(process, signal.SIGCONT)
    time.sleep(0.07)
    if open('/proc/%d/stat' % process).read().rsplit(')', 1)[1].split()[0] == 'T':
        print('after', between, 'us it stays stopped')
        os.kill(process, signal.SIGCONT)
print('looked', 'at', 'all')
`

// TestStoppedAndBack: Ctrl-Z stops the command and the job, the shell has its
// terminal as it was, and "fg" gives the command the keyboard and the window's
// size of that moment.
func TestStoppedAndBack(t *testing.T) {
	s := newShell(t, newAgent(t, allowAll, nil))
	before := s.does("stty -g")
	s.types("keepersudo sh -c 'echo u''p; while read x; do echo \"got $x\"; stty size; done'\n")
	s.until("up\r\n")
	s.types("\x1a")
	if shown := s.until(ready); !strings.Contains(shown, "Stopped") {
		t.Errorf("the shell says %q", shown)
	}
	s.unchanged(before)
	if err := s.term.Resize(30, 100); err != nil {
		t.Fatal(err)
	}
	s.types("fg\n")
	s.until("keepersudo sh")
	s.until("\n")
	s.types("hello\n")
	s.until("got hello\r\n30 100\r\n")
	s.types("\x1a")
	s.until("Stopped")
	s.until(ready)
	s.types("fg\n")
	s.until("\n")
	s.types("again\n")
	s.until("got again\r\n")
	s.types("\x04")
	s.until(ready)
	if shown := s.does("jobs; stty -g"); shown != before {
		t.Errorf("at the end: %q", shown)
	}
}

// TestStoppedEditor: a program that prepares itself for being stopped.
func TestStoppedEditor(t *testing.T) {
	s := newShell(t, newAgent(t, allowAll, nil))
	before := s.does("stty -g")
	s.types("keepersudo vi\n")
	s.until("~")
	s.stops(before)
	s.types("fg\n")
	s.until("~")
	s.types(":q!\r")
	s.until(ready)
	if shown := s.does("echo $?; stty -g"); shown != "0\r\n"+before {
		t.Errorf("at the end: %q", shown)
	}
}

// TestInTheBackground: "bg" lets a command run, until it wants to read.
func TestInTheBackground(t *testing.T) {
	s := newShell(t, newAgent(t, allowAll, nil))
	dir := pipes(t, "pipe")
	pipe := filepath.Join(dir, "pipe")
	s.types("keepersudo sh -c 'echo u''p; read x <" + pipe + "; echo went''on; read y; echo \"got $y\"'\n")
	s.until("up\r\n")
	s.types("\x1a")
	s.until("Stopped")
	s.until(ready)
	s.does("bg")
	lets(t, pipe)
	s.until("wenton")
	s.types("\n")
	s.until(ready)
	s.untilStopped() // it wants to read
	s.types("fg\n")
	s.until("\n")
	s.types("at last\n")
	s.until("got at last")
	s.until(ready)

	// Begun there, it is the same.
	s.types("keepersudo sh -c 'read y; echo \"got $y\"' &\n")
	s.until("\n")
	s.until(ready)
	s.untilStopped()
	s.types("fg\n")
	s.until("\n")
	s.types("this\n")
	s.until("got this")
	s.until(ready)
}

// untilStopped waits until the shell says that its job is stopped.
func (s *shell) untilStopped() {
	s.t.Helper()
	eventually(s.t, "the shell's job is stopped", func() bool { return strings.Contains(s.does("jobs"), "Stopped") })
}

// TestStoppedByASignal: who stops keepersudo means the command.
func TestStoppedByASignal(t *testing.T) {
	a := newAgent(t, allowAll, nil)
	for name, hasTerminal := range map[string]bool{"at a terminal": true, "without one": false} {
		t.Run(name, func(t *testing.T) {
			s := newShell(t, a)
			marker := fmt.Sprintf("6%08d", time.Now().UnixNano()%1e8)
			pidfile := filepath.Join(reachable(t), "pid")
			if err := os.WriteFile(pidfile, nil, 0o666); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(pidfile, 0o666); err != nil {
				t.Fatal(err)
			}
			if hasTerminal {
				s.does("keepersudo sleep " + marker + " &")
				s.does("echo $! >" + pidfile)
			} else {
				// Somebody who could let it go on, without a terminal.
				parent := "import subprocess, sys; p = subprocess.Popen(sys.argv[2:], process_group=0); open(sys.argv[1], 'w').write(str(p.pid)); p.wait()"
				s.does("setsid python3 -c \"" + parent + "\" " + pidfile + " keepersudo sleep " + marker + " </dev/null >/dev/null 2>&1 &")
			}
			tell := func(signal, want string) {
				t.Helper()
				eventually(t, "the command runs", func() bool { return len(started(t, "sleep", marker)) == 1 })
				s.does("kill -" + signal + " $(cat " + pidfile + ")")
				eventually(t, "after "+signal+" it is "+want, func() bool { return state(t, "sleep", marker) == want })
			}
			eventually(t, "it has a number", func() bool { data, _ := os.ReadFile(pidfile); return len(data) > 1 })
			// keepersudo itself stops a moment after the command does.
			for _, later := range []int{0, 4, 8, 10, 12, 14, 16, 20, 40} {
				tell("TSTP", "T")
				time.Sleep(time.Duration(later) * time.Millisecond)
				tell("CONT", "S")
			}
			// SIGCONT comes while keepersudo takes SIGTSTP, and nobody sends it again. There is
			// a moment in which the system takes it away all the same.
			script := filepath.Join(filepath.Dir(pidfile), "pairs.py")
			if err := os.WriteFile(script, []byte(pairs), 0o644); err != nil {
				t.Fatal(err)
			}
			shown := s.does("python3 " + script + " $(cat " + pidfile + ")")
			if strings.Count(shown, "stays stopped") > 2 || !strings.Contains(shown, "looked at all") {
				t.Errorf("%s", shown)
			}
			s.does("kill $(cat " + pidfile + "); kill -CONT $(cat " + pidfile + ")")
			eventually(t, "the command has ended", func() bool { return len(started(t, "sleep", marker)) == 0 })
		})
	}
}
