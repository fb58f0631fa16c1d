//go:build linux

package e2e

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"kpm/vmtests/agent"
	"kpm/vmtests/apart"
)

// enrolled is what `mfa enroll --json` prints.
type enrolled struct {
	User, UserID, URI, Secret string
	RecoveryCodes             []string
}

// enrolls enrols user 4242.
func enrolls(t *testing.T, a *agent.Agent, flags ...string) (e enrolled) {
	t.Helper()
	if err := apart.Person(4242); err != nil {
		t.Fatal(err)
	}
	out, err := a.Admin(t.Context(), append([]string{"mfa", "enroll", apart.Name(4242), "--json"}, flags...)...)
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := json.Unmarshal([]byte(out), &e); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return e
}

// code is what an authenticator program shows now, ahead of the time by steps of 30
// seconds (RFC 6238, written from it and not from the product).
func (e enrolled) code(t *testing.T, ahead int64) string {
	t.Helper()
	secret, err := base32.StdEncoding.DecodeString(e.Secret)
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha1.New, secret)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(time.Now().Unix()/30+ahead)))
	sum := mac.Sum(nil)
	at := sum[19] & 15
	return fmt.Sprintf("%06d", (binary.BigEndian.Uint32(sum[at:])&0x7fffffff)%1_000_000)
}

// runsAfter types a line, and a code at the question, and returns what is shown then.
func (s *shell) runsAfter(line, code string) string {
	s.t.Helper()
	s.types(line + "\n")
	s.until(", enter your code: ")
	s.types(code + "\r")
	return s.until(ready)
}

const mfaAll = `{"PolicyId":"second","PolicyName":"Second factor","PolicyType":"PrivilegeElevation","Status":"enforce","Actions":{"OnSuccess":{"Controls":["MFA"]}},"UserCheck":["*"],"MachineCheck":["*"],"ApplicationCheck":["*"]}`

// TestSecondFactor: from enrolment to the end of it, as a person at a terminal has it.
func TestSecondFactor(t *testing.T) {
	a := newAgent(t, mfaAll, nil)
	s := newShell(t, a)
	if out := s.does("keepersudo id -u; echo status $?"); !strings.Contains(out, "KeeperAdminCLI mfa enroll person4242") || !strings.Contains(out, "status 1") {
		t.Errorf("not enrolled: %q", out)
	}
	e := enrolls(t, a)
	if out := s.does("keepersudo -n id -u; echo status $?"); !strings.Contains(out, "run it without -n") || !strings.Contains(out, "status 1") {
		t.Errorf("with -n: %q", out)
	}
	before := s.does("stty -g")
	s.types("keepersudo id -u\n")
	if out := s.until(", enter your code: "); !regexp.MustCompile(`keepersudo: to run /usr/bin/id as root \(request [A-Z2-7]{6}: id -u\)`).MatchString(out) {
		t.Errorf("asked %q", out)
	}
	first := e.code(t, 0)
	s.types(first + "\r")
	if out := s.until(ready); !strings.HasSuffix(out, "\n0\r\n") || strings.Contains(out, first) {
		t.Errorf("with the right code: %q", out)
	}
	s.unchanged(before)

	// What was entered counts here for five minutes, for other commands of the policy.
	if out := s.does("keepersudo -n whoami"); out != "root\r\n" {
		t.Errorf("remembered: %q", out)
	}
	// Attack: it counts for what has no terminal, or another one.
	if out, status := sudoed(t, a, "-n", "whoami"); status != 1 || !strings.Contains(out, "without -n") {
		t.Errorf("without a terminal: status %d, %q", status, out)
	}
	if out := s.does("setsid -w keepersudo -n whoami; echo status $?"); !strings.Contains(out, "without -n") || !strings.Contains(out, "status 1") {
		t.Errorf("in a session of its own: %q", out)
	}
	other := newShell(t, a)
	if out := other.does("keepersudo -n whoami; echo status $?"); !strings.Contains(out, "status 1") {
		t.Errorf("at another terminal: %q", out)
	}

	// -k asks anew for one command, and alone forgets.
	second := e.code(t, 1)
	if out := s.runsAfter("keepersudo -k whoami", second); !strings.HasSuffix(out, "\nroot\r\n") {
		t.Errorf("-k whoami: %q", out)
	}
	if out := s.does("keepersudo -k; keepersudo -n whoami; echo status $?"); !strings.Contains(out, "status 1") {
		t.Errorf("after -k: %q", out)
	}
	// Attack: a code is used twice. A recovery code does instead, once.
	s.types("keepersudo whoami\n")
	s.until(", enter your code: ")
	s.types(second + "\r")
	s.until(", enter your code: ")
	s.types(e.RecoveryCodes[0] + "\r")
	if out := s.until(ready); !strings.HasSuffix(out, "\nroot\r\n") {
		t.Errorf("with a recovery code: %q", out)
	}
	// -K forgets everywhere; -v asks now, for what comes.
	if out := other.does("keepersudo -K; echo status $?"); out != "status 0\r\n" {
		t.Errorf("-K: %q", out)
	}
	if out := s.does("keepersudo -nv; echo status $?"); !strings.Contains(out, "status 1") {
		t.Errorf("-nv after -K: %q", out)
	}
	if out := s.runsAfter("keepersudo -v; echo status $?", e.RecoveryCodes[1]); !strings.HasSuffix(out, "\nstatus 0\r\n") {
		t.Errorf("-v: %q", out)
	}
	if out := s.does("keepersudo -n whoami; keepersudo -nv; echo status $?"); out != "root\r\nstatus 0\r\n" {
		t.Errorf("after -v: %q", out)
	}
	if out, err := a.Admin(t.Context(), "mfa", "remove", "person4242"); err != nil {
		t.Errorf("%v: %s", err, out)
	}
	if out := s.does("keepersudo whoami; echo status $?"); !strings.Contains(out, "mfa enroll") {
		t.Errorf("after it was removed: %q", out)
	}
	recordedFactor(t, a, e)
}

// recordedFactor asserts that nothing secret is where it must not be, and that the journal
// has what happened.
func recordedFactor(t *testing.T, a *agent.Agent, e enrolled) {
	t.Helper()
	out, err := a.Admin(t.Context(), "audit", "tail", "-n", "100000", "--json")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"cause":"enrolled"`, `"cause":"right"`, `"cause":"replayed"`, `"cause":"removed"`} {
		if !strings.Contains(out, want) {
			t.Errorf("the journal has no %s", want)
		}
	}
	for _, secret := range append([]string{e.Secret}, e.RecoveryCodes...) {
		if strings.Contains(out+a.Log(), secret) {
			t.Errorf("the journal or the log has %s", secret)
		}
	}
	info, err := os.Stat(filepath.Join(a.Root, "State/factors.db"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

// TestLockedOut: five wrong codes in a row, over requests and over a service that was
// killed, until an administrator enrols the person anew.
func TestLockedOut(t *testing.T) {
	a := newAgent(t, mfaAll, nil)
	e := enrolls(t, a)
	s := newShell(t, a)
	s.types("keepersudo whoami\n")
	for range 3 {
		s.until(", enter your code: ")
		s.types("12345\r") // which no code is
	}
	if out := s.until(ready); !regexp.MustCompile(`whoami is denied: the code is wrong \(request [A-Z2-7]{6}\)`).MatchString(out) {
		t.Errorf("three wrong ones: %q", out)
	}
	killedAndBack(t, a)
	s.types("keepersudo whoami\n")
	for range 2 {
		s.until(", enter your code: ")
		s.types("12345\r")
	}
	if out := s.until(ready); !strings.Contains(out, "too many wrong codes") {
		t.Errorf("five wrong ones: %q", out)
	}
	killedAndBack(t, a)
	if out := s.does("keepersudo whoami; echo status $?"); !strings.Contains(out, "too many wrong codes") || !strings.Contains(out, "status 1") {
		t.Errorf("locked out, after a restart: %q", out)
	}
	out, err := a.Admin(t.Context(), "mfa", "list", "--json")
	var list []struct {
		UserID        string
		LockedSeconds int
	}
	if err != nil || json.Unmarshal([]byte(out), &list) != nil || len(list) != 1 || list[0].UserID != "4242" || list[0].LockedSeconds == 0 || strings.Contains(out, e.Secret) {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := a.Admin(t.Context(), "mfa", "enroll", "person4242"); err == nil || !strings.Contains(fmt.Sprint(out, err), "--replace") {
		t.Errorf("enrolled twice: %v: %s", err, out)
	}
	anew := enrolls(t, a, "--replace")
	if out := s.runsAfter("keepersudo whoami", anew.code(t, 0)); !strings.HasSuffix(out, "\nroot\r\n") {
		t.Errorf("enrolled anew: %q", out)
	}
}

// killedAndBack kills the service and starts it again.
func killedAndBack(t *testing.T, a *agent.Agent) {
	t.Helper()
	if err := a.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestCodeAndReason: a policy that asks for both gets both, about the same request.
func TestCodeAndReason(t *testing.T) {
	a := newAgent(t, strings.Replace(mfaAll, `["MFA"]`, `["MFA","JUSTIFY"]`, 1), nil)
	e := enrolls(t, a)
	s := newShell(t, a)
	s.types("keepersudo whoami 'a b'\n")
	s.until("(request ")
	code := s.until(": ")
	s.until("'a b'), enter your code: ")
	s.types(e.code(t, 0) + "\r")
	s.until("Reason for running /usr/bin/whoami as root (request " + code + ": ")
	s.until("'a b'): ")
	s.types("\r")
	if out := s.until(ready); !strings.Contains(out, "you gave no reason (request "+code+")") {
		t.Errorf("without a reason: %q", out)
	}
	s.types("keepersudo whoami\n") // the code is remembered, the reason is not
	s.until("Reason for running /usr/bin/whoami as root (request ")
	s.until("): ")
	s.types("to know\r")
	if out := s.until(ready); !strings.HasSuffix(out, "\nroot\r\n") {
		t.Errorf("with both: %q", out)
	}
}

// TestEnrolmentIsShown: as a picture and as text, once; the file is new and private.
func TestEnrolmentIsShown(t *testing.T) {
	a := newAgent(t, mfaAll, nil)
	if err := apart.Person(4242); err != nil {
		t.Fatal(err)
	}
	picture := filepath.Join(t.TempDir(), "code.png")
	out, err := a.Admin(t.Context(), "mfa", "enroll", "person4242", "--png", picture)
	if err != nil || !strings.Contains(out, "otpauth://totp/") || strings.Count(out, "\u2588") < 100 || !strings.Contains(out, "Recovery codes") {
		t.Fatalf("%v: %s", err, out)
	}
	f, err := os.Open(picture)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := png.Decode(f); err != nil {
		t.Error(err)
	}
	if info, err := f.Stat(); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	// Attack: whoever makes the file first reads what is written to it.
	if out, err := a.Admin(t.Context(), "mfa", "enroll", "person4242", "--replace", "--png", picture); err == nil {
		t.Errorf("a file was written over: %s", out)
	}
	if out, err := a.Admin(t.Context(), "mfa", "enroll", "nosuchperson"); err == nil || !strings.Contains(fmt.Sprint(out, err), "no such") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestATicket: its person enrols with it, once, and nobody else does.
func TestATicket(t *testing.T) {
	a := newAgent(t, mfaAll, nil)
	for _, uid := range []uint32{4242, 4243} {
		if err := apart.Person(uid); err != nil {
			t.Fatal(err)
		}
	}
	out, err := a.Admin(t.Context(), "mfa", "ticket", apart.Name(4242), "--json")
	var given struct{ Ticket string }
	if err != nil || json.Unmarshal([]byte(out), &given) != nil || given.Ticket == "" {
		t.Fatalf("%v: %s", err, out)
	}
	redeem := func(uid uint32) (string, error) {
		t.Helper()
		cmd := a.Sudo(t.Context(), uid)
		cmd.Path, cmd.Args = filepath.Join(a.Root, "keeperAgent"), []string{"keeperAgent", "--enroll", "--json"}
		cmd.Stdin = strings.NewReader(given.Ticket + "\n")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	if out, err := redeem(4243); err == nil || !strings.Contains(out, "this ticket is not yours") {
		t.Errorf("somebody else: %v: %s", err, out)
	}
	var e enrolled
	if out, err := redeem(4242); err != nil || json.Unmarshal([]byte(out), &e) != nil || e.UserID != "4242" || e.Secret == "" {
		t.Fatalf("its person: %v: %s", err, out)
	}
	if out, err := redeem(4242); err == nil || !strings.Contains(out, "was used") {
		t.Errorf("twice: %v: %s", err, out)
	}
	s := newShell(t, a)
	if out := s.runsAfter("keepersudo whoami", e.code(t, 0)); !strings.HasSuffix(out, "\nroot\r\n") {
		t.Errorf("%q", out)
	}
}
