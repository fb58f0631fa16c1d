//go:build linux

package desktop

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"kpm/vmtests/agent"
	"kpm/vmtests/apart"
)

// demands is a policy that asks everybody for controls.
func demands(controls string) string {
	return `{"PolicyId":"p","PolicyName":"Ask","PolicyType":"PrivilegeElevation","Status":"enforce","Actions":{"OnSuccess":{"Controls":[` + controls + `]}},
"UserCheck":["*"],"MachineCheck":["*"],"ApplicationCheck":["*"]}`
}

// newAgent starts an agent with a policy, and with settings of its own if there are any.
func newAgent(t *testing.T, policy, settings string) *agent.Agent {
	t.Helper()
	staged, err := agent.Staged()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for d := dir; len(d) > len(os.TempDir()); d = filepath.Dir(d) { // other users come here
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	a, err := agent.New(staged, dir, map[string]string{"p.json": policy})
	if err != nil {
		t.Fatal(err)
	}
	if settings != "" {
		if err := a.Write("appsettings.json", settings); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			runs, _ := a.Admin(context.Background(), "jobs", "runs")
			t.Logf("%s\n%s", runs, a.Log())
		}
		_ = a.Kill()
	})
	return a
}

// asked is keepersudo without a terminal: what a coding agent or a launcher starts.
type asked struct {
	t      *testing.T
	cmd    *exec.Cmd
	mu     sync.Mutex
	said   bytes.Buffer
	ended  chan struct{}
	status int
}

// Write implements io.Writer, for both of its outputs.
func (a *asked) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.said.Write(p)
}

func (a *asked) output() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.said.String()
}

func asks(t *testing.T, of *agent.Agent, args ...string) *asked {
	t.Helper()
	a := &asked{t: t, cmd: of.Sudo(t.Context(), ann, args...), ended: make(chan struct{})}
	a.cmd.Stdout, a.cmd.Stderr = a, a
	if err := a.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("keepersudo %q has said %q", args, a.output())
		}
	})
	go func() { // which ends with keepersudo, and that with the test
		defer close(a.ended)
		_ = a.cmd.Wait()
		a.status = a.cmd.ProcessState.ExitCode()
	}()
	return a
}

// ends waits for its end, and holds it to what is expected.
func (a *asked) ends(status int, says string) {
	a.t.Helper()
	eventually(a.t, "keepersudo ends", func() bool {
		select {
		case <-a.ended:
			return true
		default:
			return false
		}
	})
	if out := a.output(); a.status != status || !strings.Contains(out, says) {
		a.t.Errorf("status %d, %q; expected %d, %q", a.status, out, status, says)
	}
}

// recoveryCodes enrols ann, and returns codes that are right once each, whenever they
// are typed.
func recoveryCodes(t *testing.T, a *agent.Agent) []string {
	t.Helper()
	out, err := a.Admin(t.Context(), "mfa", "enroll", apart.Name(ann), "--json")
	if err != nil {
		t.Fatal(err)
	}
	var e struct{ RecoveryCodes []string }
	if err := json.Unmarshal([]byte(out), &e); err != nil || len(e.RecoveryCodes) < 5 {
		t.Fatalf("%v: %s", err, out)
	}
	return e.RecoveryCodes
}

// alone has only the named of the programs that show dialogs be there.
func alone(t *testing.T, name string) {
	t.Helper()
	for _, other := range []string{"/usr/bin/zenity", "/usr/bin/yad", "/usr/bin/kdialog"} {
		if _, err := os.Stat(other); filepath.Base(other) == name || errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err := syscall.Mount("/dev/null", other, "", syscall.MS_BIND, ""); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := syscall.Unmount(other, 0); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestAPersonIsAskedOnTheirDesktop: a request without a terminal, answered by each way
// that a dialog can be answered in.
func TestAPersonIsAskedOnTheirDesktop(t *testing.T) {
	desk := newSeat(t, ann)
	logsIn(t, map[string]*seat{annsSession: desk})
	a := newAgent(t, demands(`"MFA","JUSTIFY"`), "")
	codes := recoveryCodes(t, a)
	for i, tool := range []string{"zenity", "yad"} {
		t.Run(tool, func(t *testing.T) {
			alone(t, tool)
			desk := &seat{t, desk.display, desk.uid}
			code := codes[2*i]

			// Allowed: a wrong code first, then a right one, then a reason.
			request := asks(t, a, "id", "-u")
			w := desk.dialog()
			eventually(t, "keepersudo says the request of the title, "+w.code, func() bool {
				return strings.Contains(request.output(), "request "+w.code+": answer the question on your desktop")
			})
			shows(t, tool, w.code, "Program: /usr/bin/id", "Runs as: root", "Command: id -u", "Enter your code:")
			w.types("000000", "Return")
			w = desk.dialog(w)
			w.types(code, "Return")
			w = desk.dialog(w)
			shows(t, tool, w.code, "Why do you need it?")
			w.types("the disk is full", "Return")
			request.ends(0, "0\n")
			if strings.Contains(request.output(), code) {
				t.Errorf("the asking process has heard the code: %q", request.output())
			}

			for way, close := range map[string]func(window){
				"escape":                         func(w window) { w.types("", "Escape") },
				"closed":                         window.closes,
				"killed":                         func(w window) { kill(t, "KeeperMFA\x00--request="+w.code) },
				"its window's program is killed": func(w window) { kill(t, titled+w.code) },
				"an empty code":                  func(w window) { w.types("", "Return"); again(desk, w).types("", "Escape") },
			} {
				request := asks(t, a, "id", "-u", way)
				w := desk.dialog()
				close(w)
				request.ends(1, "you entered no code")
				w.goes()
			}
			request = asks(t, a, "id", "-u")
			w = desk.dialog()
			w.types(codes[2*i+1], "Return")
			w = desk.dialog(w)
			w.types("", "Escape")
			request.ends(1, "you gave no reason")
		})
	}
	secretIsNowhere(t, a, codes[0])
}

// again is the dialog that comes after one.
func again(s *seat, before window) window {
	s.t.Helper()
	return s.dialog(before)
}

// kill ends the one process whose command line holds text.
func kill(t *testing.T, text string) {
	t.Helper()
	found := processes(text)
	if len(found) != 1 {
		t.Fatalf("%q: processes %d, expected one", text, found)
	}
	if err := syscall.Kill(found[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// shows asserts that the program which shows the dialog of a request was told these lines.
func shows(t *testing.T, tool, code string, lines ...string) {
	t.Helper()
	for _, pid := range processes(titled + code) {
		line, _ := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
		if !strings.Contains(string(line), tool) {
			continue
		}
		for _, want := range lines {
			if !strings.Contains(string(line), want) {
				t.Errorf("%s shows %q, expected %q in it", tool, line, want)
			}
		}
		return
	}
	t.Errorf("no %s shows request %s", tool, code)
}

// secretIsNowhere asserts that what was entered is in no file and no log.
func secretIsNowhere(t *testing.T, a *agent.Agent, code string) {
	t.Helper()
	out, err := exec.Command("grep", "-rlF", code, filepath.Join(a.Root, "State"), filepath.Join(a.Root, "Audit"), filepath.Join(a.Root, "run")).CombinedOutput()
	if len(out) > 0 || err == nil {
		t.Errorf("the code is in %s", out)
	}
	if strings.Contains(a.Log(), code) {
		t.Error("the code is in the log")
	}
}
