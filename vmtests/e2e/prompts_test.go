//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"kpm/vmtests/apart"
)

// asks types a command line and returns the question's parts: what would run, as whom,
// the request's code and the command line.
func (s *shell) asks(line string) (program, target, code, shown string) {
	s.t.Helper()
	s.types(line + "\n")
	s.until("Reason for running ")
	program = s.until(" as ")
	target = s.until(" (request ")
	code = s.until(": ")
	return program, target, code, s.until("): ")
}

// TestTwoPromptsAtOnce: two requests of one person wait at two terminals, and neither
// prompt can be taken for the other: each shows the sealed program, the escaped command
// line, the target and a code, which the refusal and the journal have too.
// https://github.com/systemd/systemd/issues/33902
func TestTwoPromptsAtOnce(t *testing.T) {
	a := newAgent(t, asAnybody(justifyAll), nil)
	s, other := newShell(t, a), newShell(t, a)
	program, target, first, shown := s.asks(`keepersudo -u daemon printf '%s|' $'\033[2Jid -u' 'x y'`)
	if program != "/usr/bin/printf" || target != "daemon" || shown != `printf '%s|' '\x1B[2Jid -u' 'x y'` {
		t.Errorf("%q as %q: %q", program, target, shown)
	}
	program, target, second, shown := other.asks("keepersudo id -u")
	if program != "/usr/bin/id" || target != "root" || shown != "id -u" || first == second {
		t.Errorf("%q as %q: %q; codes %s and %s", program, target, shown, first, second)
	}
	other.types("to know\r")
	if out := other.until(ready); !strings.HasSuffix(out, "\n0\r\n") {
		t.Errorf("%q", out)
	}
	s.types("\r")
	if out := s.until(ready); !strings.Contains(out, "you gave no reason (request "+first+")") || strings.Contains(out, "|") {
		t.Errorf("%q", out)
	}
	ran := map[string]bool{} // by code
	for request, types := range journal(t, a) {
		ran[request[:len(first)]] = strings.Contains(strings.Join(types, " "), "launched")
	}
	if did, known := ran[first]; did || !known || !ran[second] || len(ran) != 2 {
		t.Errorf("the journal has %v, expected %s refused and %s run", ran, first, second)
	}
}

// TestNothingOfThePersonsAnswersAPrompt: programs of the person who is asked tell the
// service and the broker that it is allowed. Nothing changes; and when the asking process
// is killed, the request is denied.
// https://github.com/ai-ecoverse/slicc/pull/829
func TestNothingOfThePersonsAnswersAPrompt(t *testing.T) {
	a := newAgent(t, justifyAll, nil)
	ports, err := a.Ports()
	if err != nil {
		t.Fatal(err)
	}
	made := filepath.Join(reachable(t), "made")
	s := sitDown(t, a, nil, "keepersudo", "touch", made)
	s.until("Reason for running /usr/bin/touch as root")
	s.until("): ")
	var request string
	for id := range journal(t, a) {
		request = id
	}
	as := func(argv ...string) (string, error) { // the person's own programs
		cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 4242, Gid: 4242}}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	answer, err := json.Marshal(map[string]any{"RequestId": request, "Justification": "forged", "Decision": "ALLOW", "Approved": true})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/api/launch", "/api/refuse", "/api/Jobs/LaunchPrivilegeElevation/run", "/api/approvals/" + request + "/approve"} {
		got, _ := as("curl", "-sS", "--unix-socket", filepath.Join(a.Root, "run/api.sock"), "-o", "/dev/null", "-w", "%{http_code}",
			"-H", "Content-Type: application/json", "-d", string(answer), "http://localhost"+path)
		if got != fmt.Sprint(http.StatusForbidden) && got != fmt.Sprint(http.StatusNotFound) {
			t.Errorf("%s: %s", path, got)
		}
	}
	for _, topic := range []string{"Replies/KeeperPrivilegeManager/" + request, "EventMessages", "KeeperPolicy"} {
		message := `{"MessageType":"PolicyResponse","Source":"KeeperPolicy","RequestId":"` + request + `","Payload":` + string(answer) + `}`
		if out, err := as("mosquitto_pub", "-h", "localhost", "-p", fmt.Sprint(ports.MQTT), "--cafile", filepath.Join(a.Root, "run/ca.pem"),
			"-i", "KeeperPolicy_1", "-q", "1", "-t", topic, "-m", message); err == nil || !strings.Contains(out, "efused") {
			t.Errorf("published on %s: %q", topic, out)
		}
	}
	if got := strings.Join(journal(t, a)[request], " "); got != "opened evaluating pending" {
		t.Errorf("the request is %q", got)
	}
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the request is denied", func() bool {
		return strings.Join(journal(t, a)[request], " ") == "opened evaluating pending denied"
	})
	if _, err := os.Lstat(made); err == nil {
		t.Error("it has run")
	}
}

// TestWithoutATerminal: who asks without a terminal, as coding agents do, is asked
// nothing and hears a code; somebody else decides at a terminal of theirs; and what the
// asking process reads and writes is its command's alone.
// https://github.com/QwenLM/qwen-code/issues/5119
func TestWithoutATerminal(t *testing.T) {
	a := newAgent(t, strings.Replace(approvals, `"/usr/bin/id", `, `"/usr/bin/cat", `, 1), nil)
	asks := func() (out string, status int, rest string) {
		t.Helper()
		input, err := os.CreateTemp(t.TempDir(), "")
		if err != nil {
			t.Fatal(err)
		}
		defer input.Close()
		if _, err := input.WriteString("not a password\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := input.Seek(0, 0); err != nil {
			t.Fatal(err)
		}
		cmd := a.Sudo(t.Context(), 4242, "--reason", "ticket 7", "cat")
		cmd.Stdin = input
		said, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		left := make([]byte, 100)
		n, _ := input.Read(left)
		return string(said), cmd.ProcessState.ExitCode(), string(left[:n])
	}
	out, status, left := asks()
	found := code.FindStringSubmatch(out)
	if status != 75 || found == nil || left != "not a password\n" {
		t.Fatalf("status %d: %s; left to read: %q", status, out, left)
	}
	if err := apart.Person(4243); err != nil {
		t.Fatal(err)
	}
	approver := sitDown(t, a, func(cmd *exec.Cmd) {
		cmd.Path = filepath.Join(a.Root, "keeperAgent")
		cmd.Err = nil
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: 4243, Gid: 4243}
	}, "keeperAgent", "--approval")
	approver.until("e exit: ")
	approver.types("p\r")
	shown := approver.until("e exit: ")
	for _, want := range []string{"/usr/bin/cat", "ticket 7", "person4242"} {
		if !strings.Contains(shown, want) {
			t.Errorf("the approver is shown %q, expected %s in it", shown, want)
		}
	}
	approver.types("a 1\r")
	approver.until("approved")
	if out, status, left := asks(); status != 0 || out != "not a password\n" || left != "" {
		t.Errorf("approved: status %d: %q; left to read: %q", status, out, left)
	}
}
