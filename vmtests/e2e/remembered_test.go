//go:build linux

package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// codingAgent is a program that is known as one, and runs a command line as a coding
// agent's tool does: quietly, at the terminal where its person has it run.
func codingAgent(t *testing.T, line string) string {
	t.Helper()
	path := filepath.Join(reachable(t), "claude")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+line+"\necho \"the agent is done: $?\"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestACodeIsRememberedForItsPolicy: not for another policy's command, and not for a
// coding agent at the terminal where its person has just entered it, which probes whether
// it could.
// https://github.com/systemd/systemd/issues/33366, https://github.com/anthropics/claude-code/issues/89652
func TestACodeIsRememberedForItsPolicy(t *testing.T) {
	of := func(id, programs string) string {
		return policyOf(id, "MFA", `, "ApplicationCheck": [`+programs+`]`)
	}
	a := newAgent(t, "["+of("one", `"/usr/bin/id", "/usr/bin/true"`)+","+of("two", `"/usr/bin/whoami"`)+"]", nil)
	e := enrolls(t, a)
	s := newShell(t, a)
	if out := s.runsAfter("keepersudo id -u", e.code(t, 0)); !strings.HasSuffix(out, "\n0\r\n") {
		t.Fatalf("%q", out)
	}
	if out := s.does("keepersudo -n true; echo status $?"); out != "status 0\r\n" {
		t.Errorf("the same policy: %q", out)
	}
	if out := s.does("keepersudo -n whoami; echo status $?"); !strings.Contains(out, "without -n") || !strings.Contains(out, "status 1") {
		t.Errorf("another policy: %q", out)
	}
	agent := codingAgent(t, "keepersudo -n true")
	if out := s.does(agent); !strings.Contains(out, "without -n") || !strings.Contains(out, "the agent is done: 1") {
		t.Errorf("a coding agent: %q", out)
	}
	if out := s.does("keepersudo -n true; echo status $?"); out != "status 0\r\n" {
		t.Errorf("the person, after that: %q", out)
	}
}

// TestAGrantIsProlongedSoOften: as often as its policy says with nothing asked, and then
// a reason is; what is not said in full is refused; and before the end whoever uses it is
// told.
// https://github.com/SAP/macOS-enterprise-privileges/issues/159 and 198
func TestAGrantIsProlongedSoOften(t *testing.T) {
	a := newAgent(t, "["+strings.Join([]string{
		justified("prolonged", "id", `{"For": "30m", "Renewals": 2}`),
		justified("brief", "whoami", `{"For": "30s"}`),
		justified("never", "uname", `{"For": "30m"}`),
		policyOf("nothing", "JUSTIFY", `, "ApplicationCheck": ["/usr/bin/arch"]`),
	}, ",")+"]", nil)
	s := newShell(t, a)

	s.reasoned("keepersudo --for 10m id -u")
	for range 2 {
		if out := s.run("keepersudo -n --for 10m id -u"); !strings.Contains(out, "\n0\r") {
			t.Errorf("prolonged: %q", out)
		}
	}
	if out := s.run("keepersudo -n --for 10m id -u"); !strings.Contains(out, forbids) {
		t.Errorf("the third time: %q", out)
	}
	if out := s.reasoned("keepersudo --for 10m id -u"); !strings.Contains(out, "prolonged 2 times: a reason is asked for") {
		t.Errorf("the third time: %q", out)
	}
	if list := grantsOf(t, a); len(list) != 1 || list[0].SecondsLeft > 600 {
		t.Errorf("%+v", list)
	}

	// How long is said with a unit, and no time is none.
	for _, length := range []string{"30", "0", "0m", "0x1e", "-5m", "forever"} {
		if out := s.run("keepersudo --for " + length + " uname; echo status $?"); !strings.Contains(out, "status 2") || strings.Contains(out, "Linux") {
			t.Errorf("--for %s: %q", length, out)
		}
	}
	// Who may choose how long is up to policy.
	if out := s.reasoned("keepersudo --for 10m arch"); !strings.Contains(out, "is asked each time: it cannot be remembered") {
		t.Errorf("a policy that lets nothing be remembered: %q", out)
	}
	if out := s.run("keepersudo -n arch"); !strings.Contains(out, forbids) {
		t.Errorf("after it: %q", out)
	}

	// From half of it on, each use says how much is left.
	const soon = "It is asked about again in "
	said := ""
	for range 3 { // a machine that is slow enough misses the second half of one
		s.reasoned("keepersudo --for 30s whoami")
		for !strings.Contains(said, soon) && !strings.Contains(said, forbids) {
			time.Sleep(500 * time.Millisecond) // between looks
			said = s.run("keepersudo -n whoami")
		}
		if strings.Contains(said, soon) {
			break
		}
		said = ""
	}
	if !strings.Contains(said, soon) || !strings.Contains(said, "root") {
		t.Errorf("nothing is said before the end: %q", said)
	}
	if out := fmt.Sprint(grantsOf(t, a)); strings.Contains(out, "uname") {
		t.Errorf("what was refused is granted: %s", out)
	}
}

// TestAPauseIsNotOverSooner: how long one has to wait for the next grant goes by a clock
// that nobody can set, over a service that was killed too: what it keeps of a pause names
// no time of the clock on the wall.
// https://github.com/Jigsaw24/Elevate24/releases/tag/v2.6.1
func TestAPauseIsNotOverSooner(t *testing.T) {
	a := newAgent(t, justified("paused", "id", `{"For": "1s", "CoolDown": "2h"}`), nil)
	s := newShell(t, a)
	s.reasoned("keepersudo --for 1s id -u")
	eventually(t, "it is over", func() bool { return ended(t, a, "its time is over") })
	in := regexp.MustCompile(`lets the next be remembered in (1h59m|2h)`)
	waits := func(when string) {
		t.Helper()
		if out := s.reasoned("keepersudo --for 1s id -u"); !in.MatchString(strings.Join(strings.Fields(out), " ")) {
			t.Errorf("%s: %q", when, out)
		}
	}
	waits("in the pause")
	if err := a.Kill(); err != nil {
		t.Fatal(err)
	}
	kept, err := os.ReadFile(filepath.Join(a.Root, "State/grants.json"))
	if err != nil || !strings.Contains(string(kept), `"policy": "paused"`) {
		t.Fatalf("%v: the pause is not kept: %s", err, kept)
	}
	if year := regexp.MustCompile(`\b20\d\d-`).FindString(string(kept)); year != "" {
		t.Errorf("a pause is kept by the clock on the wall, as %s: %s", year, kept)
	}
	if _, err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	waits("after the service was killed")
}
