//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kpm/vmtests/agent"
	"kpm/vmtests/apart"
)

const password = "correct horse"

// logsInWith gives user 4242 a password, and PAM a file for the agent, in this test's own
// /etc, until the test ends.
func logsInWith(t *testing.T, secret string) {
	t.Helper()
	if err := apart.Person(4242); err != nil {
		t.Fatal(err)
	}
	hashed, err := exec.Command("openssl", "passwd", "-6", "-salt", "kpm", secret).Output()
	if err != nil {
		t.Fatal(err)
	}
	shadow, err := os.ReadFile("/etc/shadow")
	if err != nil {
		t.Fatal(err)
	}
	line := fmt.Sprintf("%s:%s:20000:0:99999:7:::\n", apart.Name(4242), strings.TrimSpace(string(hashed)))
	const file = "/etc/pam.d/kpm"
	t.Cleanup(func() {
		if err := os.WriteFile("/etc/shadow", shadow, 0o640); err != nil {
			t.Error(err)
		}
		if err := os.Remove(file); err != nil {
			t.Error(err)
		}
	})
	if err := os.WriteFile("/etc/shadow", append(shadow, line...), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("auth required pam_unix.so nodelay\naccount required pam_unix.so\nsession required pam_permit.so\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// factorsInForce writes the setting before the agent starts.
func factorsInForce(t *testing.T, kinds string) func(*agent.Agent) {
	return func(a *agent.Agent) {
		text := `{"Mfa": {"Factors": ` + kinds + `}}`
		if err := os.WriteFile(filepath.Join(a.Root, "appsettings.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLoggingInAsAFactor: what a policy asks for as MFA is to log in again, by PAM, at
// the terminal that asked; wrong passwords are counted, and five lock out.
func TestLoggingInAsAFactor(t *testing.T) {
	logsInWith(t, password)
	a := newAgent(t, mfaAll, factorsInForce(t, `["totp", "pam"]`))
	s := newShell(t, a)
	before := s.does("stty -g")
	asked := ", log in again. Password: "
	s.types("keepersudo id -u\n")
	if out := s.until(asked); !strings.Contains(out, "keepersudo: to run /usr/bin/id as root (request ") {
		t.Errorf("asked %q", out)
	}
	s.types(password + "\r")
	if out := s.until(ready); !strings.HasSuffix(out, "\n0\r\n") || strings.Contains(out, password) {
		t.Errorf("with the right password: %q", out)
	}
	s.unchanged(before)
	if out := s.does("keepersudo -n whoami"); out != "root\r\n" {
		t.Errorf("remembered: %q", out)
	}
	if out, status := sudoed(t, a, "-n", "whoami"); status != 1 || !strings.Contains(out, "without -n") {
		t.Errorf("without a terminal: status %d, %q", status, out)
	}
	s.does("keepersudo -k")

	// Attack: passwords are guessed, in one command and in the next.
	for _, times := range []int{3, 2} {
		s.types("keepersudo id -u\n")
		for range times {
			s.until(asked)
			s.types("wrong\r")
		}
		s.until(ready)
	}
	if out := s.does("keepersudo id -u; echo status $?"); !strings.Contains(out, "too many wrong answers") || !strings.Contains(out, "status 1") {
		t.Errorf("locked out: %q", out)
	}
	var causes []string
	for _, r := range records(t, a) {
		if r["type"] == "factor" {
			causes = append(causes, fmt.Sprint(r["cause"]))
		}
		if text := fmt.Sprint(r); strings.Contains(text, password) || strings.Contains(text, "wrong\r") {
			t.Errorf("a password is in the journal: %v", r)
		}
	}
	if got := strings.Join(causes, " "); got != "right wrong wrong wrong wrong wrong locked" {
		t.Errorf("recorded %q", got)
	}

	// Who has codes is asked for those.
	e := enrolls(t, a)
	if out := s.runsAfter("keepersudo id -u", e.code(t, 0)); !strings.HasSuffix(out, "\n0\r\n") {
		t.Errorf("with a code: %q", out)
	}
}

// TestEnrollingAfterLoggingIn: a person enrols themself without an administrator, after
// they have logged in again, once.
func TestEnrollingAfterLoggingIn(t *testing.T) {
	logsInWith(t, password)
	a := newAgent(t, mfaAll, nil)
	enroll := func(typed ...string) (string, int) {
		t.Helper()
		cmd := a.Sudo(t.Context(), 4242)
		cmd.Path = filepath.Join(a.Root, "keeperAgent")
		cmd.Args = []string{cmd.Path, "--enroll", "--json"}
		cmd.Stdin = strings.NewReader(strings.Join(typed, "\n") + "\n")
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return string(out), cmd.ProcessState.ExitCode()
	}
	if out, status := enroll("", "wrong"); status != 1 || !strings.Contains(out, "not what you log in with") {
		t.Fatalf("with a wrong password: status %d, %s", status, out)
	}
	out, status := enroll("", password)
	var e enrolled
	if err := json.Unmarshal([]byte(out), &e); status != 0 || err != nil || e.Secret == "" {
		t.Fatalf("status %d, %v: %s", status, err, out)
	}
	s := newShell(t, a)
	if out := s.runsAfter("keepersudo id -u", e.code(t, 0)); !strings.HasSuffix(out, "\n0\r\n") {
		t.Errorf("with a code: %q", out)
	}
	// Attack: whoever knows the password alone ends the factor.
	if out, status := enroll("", password); status != 1 || !strings.Contains(out, "enrolled for this user already") {
		t.Errorf("a second time: status %d, %s", status, out)
	}
	// Without PAM's file nobody is asked.
	if out, err := a.Admin(t.Context(), "mfa", "remove", apart.Name(4242)); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.Rename("/etc/pam.d/kpm", "/etc/pam.d/kpm.off"); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := os.Rename("/etc/pam.d/kpm.off", "/etc/pam.d/kpm"); err != nil {
			t.Error(err)
		}
	}()
	if out, status := enroll("", password); status != 1 || !strings.Contains(out, "cannot be checked now") {
		t.Errorf("without PAM's file: status %d, %s", status, out)
	}
}

// TestApprovalByACode: somebody without a way to reach an approver reads a challenge to
// the help desk, which makes a code of it elsewhere, with the key of this machine (W12).
func TestApprovalByACode(t *testing.T) {
	a := newAgent(t, approvals, nil)
	id := pends(t, a, "id", "-u")
	challengeOf := func(id string) string {
		t.Helper()
		out, _ := agentAs(t, a, 4242, "--refresh", "--json")
		var list []struct{ ID, Challenge string }
		if err := json.Unmarshal([]byte(out), &list); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		for _, one := range list {
			if one.ID == id {
				return one.Challenge
			}
		}
		return ""
	}
	challenge := func() string { t.Helper(); return challengeOf(id) }
	enters := func(uid uint32, code string) (string, int) {
		t.Helper()
		cmd := a.Sudo(t.Context(), uid)
		cmd.Path = filepath.Join(a.Root, "keeperAgent")
		cmd.Args = []string{cmd.Path, "--approve-code", id}
		cmd.Stdin = strings.NewReader(code + "\n")
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState == nil {
			t.Fatal(err)
		}
		return string(out), cmd.ProcessState.ExitCode()
	}
	if got := challenge(); got != "" {
		t.Errorf("a challenge without a key: %s", got)
	}
	if out, status := enters(4242, "12345-67890"); status != 1 || !strings.Contains(out, "approvals key new") {
		t.Errorf("without a key: status %d, %s", status, out)
	}
	key, err := a.Admin(t.Context(), "approvals", "key", "new", "--json")
	if err != nil {
		t.Fatalf("%v: %s", err, key)
	}
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	codeOf := func(challenge string) string {
		t.Helper()
		out, err := a.Admin(t.Context(), "approvals", "code", challenge, "--key", file, "--json")
		var made struct{ Code string }
		if err == nil {
			err = json.Unmarshal([]byte(out), &made)
		}
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		return made.Code
	}
	code := func() string { t.Helper(); return codeOf(challenge()) }
	right := code()
	// Attack: by somebody else; of another request; used twice.
	if out, status := enters(4244, right); status != 1 || !strings.Contains(out, "no such approval") {
		t.Errorf("by somebody else: status %d, %s", status, out)
	}
	if out, status := enters(4242, "00000-00000"); status != 1 || !strings.Contains(out, "the code is wrong") {
		t.Errorf("a wrong code: status %d, %s", status, out)
	}
	if out, status := enters(4242, codeOf(challengeOf(pends(t, a, "id", "-g")))); status != 1 || !strings.Contains(out, "the code is wrong") {
		t.Errorf("another request's code: status %d, %s", status, out)
	}
	if out, status := enters(4242, right); status != 0 || !strings.Contains(out, id+" is approved") {
		t.Fatalf("the right code: status %d, %s", status, out)
	}
	if out, status := sudoed(t, a, "id", "-u"); status != 0 || out != "0\n" {
		t.Errorf("approved: status %d, %s", status, out)
	}
	if again := pends(t, a, "id", "-u"); again == id {
		t.Error("it was approved for a second time")
	} else {
		id = again
	}
	for i := range 5 {
		if out, status := enters(4242, right); status != 1 || !strings.Contains(out, "the code is wrong") {
			t.Errorf("used twice, try %d: status %d, %s", i+1, status, out)
		}
	}
	// Five wrong ones lock out, across a restart, the right one too.
	if err := a.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if out, status := enters(4242, code()); status != 1 || !strings.Contains(out, "too many wrong codes") {
		t.Errorf("locked out: status %d, %s", status, out)
	}
	if one := shownApproval(t, a, id); one.Status != "pending" || one.Challenge != "" {
		t.Errorf("%+v", one)
	}
	kept, err := os.ReadFile(filepath.Join(a.Root, "State", "approval-key.json"))
	var shown struct{ Key string }
	if err == nil {
		err = json.Unmarshal([]byte(key), &shown)
	}
	if err != nil || shown.Key == "" || strings.Contains(string(kept), shown.Key) {
		t.Errorf("the key lies in the open: %v", err)
	}
}

// TestACodeWhileItWaits: who waits at a terminal is told what to read, and the command
// runs when the code was entered elsewhere.
func TestACodeWhileItWaits(t *testing.T) {
	a := newAgent(t, approvals, nil)
	key, err := a.Admin(t.Context(), "approvals", "key", "new")
	if err != nil {
		t.Fatalf("%v: %s", err, key)
	}
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	s, other := newShell(t, a), newShell(t, a)
	s.types("keepersudo --reason 'ticket 7' id -u; echo status $?\n")
	said := s.until("keeperAgent --approve-code ")
	id := strings.TrimSpace(s.until("\n"))
	_, said, _ = strings.Cut(strings.Join(strings.Fields(said), " "), "By telephone: read ")
	challenge, _, _ := strings.Cut(said, " ")
	out, err := a.Admin(t.Context(), "approvals", "code", challenge, "--key", file)
	fields := strings.Fields(out)
	if err != nil || len(fields) < 2 {
		t.Fatalf("%v: %s", err, out)
	}
	other.types("keeperAgent --approve-code " + id + "\n")
	other.until("Code: ")
	other.types(fields[1] + "\n")
	if out := other.until(ready); !strings.Contains(out, "is approved") {
		t.Errorf("said %q", out)
	}
	if out := s.until(ready); !strings.Contains(out, "is given by the help desk's code") || !strings.Contains(out, "\r\n0\r\nstatus 0") {
		t.Errorf("the command: %q", out)
	}
}
