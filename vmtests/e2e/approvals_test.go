//go:build linux

package e2e

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kpm/core/view"
	"kpm/vmtests/agent"
)

// Who is who: 4242 asks, 4243 is named an approver, 4244 is nobody in particular.
const approvals = `[
 {"PolicyId": "a", "PolicyName": "Approved", "PolicyType": "PrivilegeElevation", "Actions": {"OnSuccess": {"Controls": ["APPROVAL"]}},
  "UserCheck": ["*"], "MachineCheck": ["*"], "ApplicationCheck": ["/usr/bin/id", "/usr/bin/uname"], "approvers": {"users": ["#4243", "#4242"]}},
 {"PolicyId": "b", "PolicyName": "Tools", "PolicyType": "PrivilegeElevation", "Actions": {"OnSuccess": {"Controls": ["ALLOW"]}},
  "UserCheck": ["*"], "MachineCheck": ["*"], "ApplicationCheck": ["{approot}/KeeperAdminCLI"]}
]`

// agentAs runs keeperAgent as a user.
func agentAs(t *testing.T, a *agent.Agent, uid uint32, args ...string) (string, int) {
	t.Helper()
	cmd := a.Sudo(t.Context(), uid)
	cmd.Path = filepath.Join(a.Root, "keeperAgent")
	cmd.Args = append([]string{cmd.Path}, args...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

var code = regexp.MustCompile(`approval ([A-Z2-7]{4}-[A-Z2-7]{4})`)

// pends runs keepersudo, which must end as approval-pending, and returns the code.
func pends(t *testing.T, a *agent.Agent, args ...string) string {
	t.Helper()
	out, status := sudoed(t, a, append([]string{"--no-wait", "--reason", "ticket 7"}, args...)...)
	found := code.FindStringSubmatch(out)
	if status != 75 || found == nil {
		t.Fatalf("%q: status %d: %s", args, status, out)
	}
	return found[1]
}

func shownApproval(t *testing.T, a *agent.Agent, id string) view.Approval {
	t.Helper()
	out, err := a.Admin(t.Context(), "approvals", "show", id, "--json")
	var one view.Approval
	if err == nil {
		err = json.Unmarshal([]byte(out), &one)
	}
	if err != nil {
		t.Fatal(err)
	}
	return one
}

func decided(t *testing.T, a *agent.Agent, verb, id string, more ...string) {
	t.Helper()
	if _, err := a.Admin(t.Context(), append([]string{"approvals", verb, id}, more...)...); err != nil {
		t.Fatal(err)
	}
}

// TestApproval: asked for by one user, given by another, run once; and what changes
// nothing.
func TestApproval(t *testing.T) {
	a := newAgent(t, approvals, nil)
	id := pends(t, a, "id", "-u")
	if again := pends(t, a, "id", "-u"); again != id {
		t.Errorf("asked twice: %s and %s", id, again)
	}
	one := shownApproval(t, a, id)
	if one.Status != "pending" || one.UserID != "4242" || one.FilePath != "/usr/bin/id" || one.CommandLine != "id -u" || one.TargetUser != "root" ||
		one.Justification != "ticket 7" || one.ExpireIn < 25 || one.ExpireIn > 30 || !one.MayDecide {
		t.Errorf("%+v", one)
	}

	// Nobody but an approver: not the requester, though the policy names them, nobody
	// else, and no command that was elevated, though it is root.
	for _, tc := range []struct {
		uid  uint32
		says string
	}{{4242, "nobody approves a request of their own"}, {4244, "there is no such approval"}} {
		for _, verb := range []string{"--approve", "--deny"} {
			if out, status := agentAs(t, a, tc.uid, verb, id); status != 1 || !strings.Contains(out, tc.says) {
				t.Errorf("%s by %d: %d %s", verb, tc.uid, status, out)
			}
		}
	}
	if out, status := sudoed(t, a, filepath.Join(a.Root, "KeeperAdminCLI"), "approvals", "approve", id, "--root", a.Root); status != 2 || !strings.Contains(out, "not from within an elevation") {
		t.Errorf("from within an elevation: %d %s", status, out)
	}
	if out, status := agentAs(t, a, 4244, "--approval", "--json"); status != 0 || out != "[]\n" {
		t.Errorf("somebody else sees: %d %s", status, out)
	}
	if got := shownApproval(t, a, id); got.Status != "pending" || len(got.Decisions) > 0 {
		t.Fatalf("it is %+v", got)
	}

	if out, status := agentAs(t, a, 4243, "--approve", strings.ToLower(id), "--comment", "go on"); status != 0 || out != id+" is approved\n" {
		t.Fatalf("%d %s", status, out)
	}
	if out, status := agentAs(t, a, 4242, "--approval"); status != 0 || !regexp.MustCompile(`^1: /usr/bin/id -u \(expires in (24 hours|23 hours and 5\d minutes)\)\n$`).MatchString(out) {
		t.Errorf("%d %s", status, out)
	}
	// Another command line is another request.
	if other := pends(t, a, "id", "-g"); other == id {
		t.Error("id -g passes for id -u")
	}
	if out, status := agentAs(t, a, 4242, "--run", id); status != 0 || out != "0\n" {
		t.Fatalf("%d %s", status, out)
	}
	if one := shownApproval(t, a, id); !one.Used || one.Status != "approved" || one.RequestID == "" || one.Decisions[0].Comment != "go on" {
		t.Errorf("%+v", one)
	}
	if again := pends(t, a, "id", "-u"); again == id {
		t.Error("it has run twice")
	}
	if journal := opened(t, a); strings.Count(journal, `"type":"approval"`) < 4 {
		t.Errorf("the journal has not what approvers have said:\n%s", journal)
	}
}

func TestApprovalDenied(t *testing.T) {
	a := newAgent(t, approvals, nil)
	id := pends(t, a, "id")
	decided(t, a, "deny", id, "--comment", "not today")
	if one := shownApproval(t, a, id); one.Status != "denied" || one.Decisions[0].Comment != "not today" || one.ExpireIn != 0 {
		t.Errorf("%+v", one)
	}
	if out, err := a.Admin(t.Context(), "approvals", "approve", id); err == nil || !strings.Contains(out, "conflict") {
		t.Errorf("approved after that: %s", out)
	}
	if again := pends(t, a, "id"); again == id {
		t.Error("the same is asked about again")
	}
}

// waiting starts keepersudo --wait, and returns it with the approval that it waits for.
func waiting(t *testing.T, a *agent.Agent, args ...string) (cmd *exec.Cmd, said *strings.Builder, id string) {
	t.Helper()
	cmd = a.Sudo(t.Context(), 4242, append([]string{"--wait", "--reason", "ticket 7"}, args...)...)
	said = &strings.Builder{}
	cmd.Stdout, cmd.Stderr = said, said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(patience); id == ""; {
		if time.Now().After(until) {
			t.Fatal("nothing waits for an approval")
		}
		out, err := a.Admin(t.Context(), "approvals", "list", "--json")
		var list []view.Approval
		if err == nil {
			err = json.Unmarshal([]byte(out), &list)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range list {
			if one.Status == "pending" {
				id = one.ID
			}
		}
		if id == "" {
			time.Sleep(20 * time.Millisecond) // between looks
		}
	}
	return cmd, said, id
}

// TestApprovalWaitedFor: whoever waits hears, and what they asked for runs.
func TestApprovalWaitedFor(t *testing.T) {
	a := newAgent(t, approvals, nil)
	cmd, said, id := waiting(t, a, "/usr/bin/uname", "-s") // by its path: the program is handed over again
	decided(t, a, "approve", id, "--comment", "fine")
	if err := cmd.Wait(); err != nil || !strings.Contains(said.String(), "approval "+id+" is given by root: fine\nLinux\n") {
		t.Errorf("%v: %s", err, said)
	}

	cmd, said, id = waiting(t, a, "id", "-u")
	decided(t, a, "deny", id, "--comment", "no")
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != 1 || !strings.Contains(said.String(), "approval "+id+" is denied by root: no") {
		t.Errorf("%v: %s", err, said)
	}

	cmd, said, id = waiting(t, a, "id", "-u")
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Errorf("interrupted: %s", said)
	}
	if one := shownApproval(t, a, id); !one.Withdrawn {
		t.Errorf("interrupted, and it is %+v", one)
	}
}

// TestApprovalsOutliveTheService: killed while one waits, and when it is approved.
func TestApprovalsOutliveTheService(t *testing.T) {
	a := newAgent(t, approvals, nil)
	again := func() {
		t.Helper()
		if err := a.Kill(); err != nil {
			t.Fatal(err)
		}
		if _, err := a.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	cmd, said, id := waiting(t, a, "id", "-u")
	again()
	decided(t, a, "approve", id)
	if err := cmd.Wait(); err != nil || !strings.HasSuffix(said.String(), "\n0\n") {
		t.Errorf("whoever waited: %v: %s", err, said)
	}
	if one := shownApproval(t, a, id); !one.Used {
		t.Errorf("%+v", one)
	}

	id = pends(t, a, "id", "-g")
	decided(t, a, "approve", id)
	again()
	if out, status := sudoed(t, a, "id", "-g"); status != 0 || out != "0\n" {
		t.Errorf("%d %s", status, out)
	}
	again()
	if other := pends(t, a, "id", "-g"); other == id {
		t.Error("it has run twice")
	}
}

// TestARequesterHears: who does not wait hears what has become of their request from
// keeperAgent, and nobody else does (W16).
func TestARequesterHears(t *testing.T) {
	a := newAgent(t, approvals, nil)
	watch := func(uid uint32) *screen {
		cmd := a.Sudo(t.Context(), uid)
		cmd.Path = filepath.Join(a.Root, "keeperAgent")
		cmd.Args = []string{cmd.Path, "--watch", "--json"}
		out := &screen{}
		cmd.Stdout, cmd.Stderr = out, out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		return out
	}
	requester, other := watch(4242), watch(4244)
	var id string
	eventually(t, "it is heard that a request was refused", func() bool { // once the watch has begun
		id = pends(t, a, "id", "-u")
		decided(t, a, "deny", id, "--comment", "not today")
		for range 20 {
			if strings.Contains(requester.String(), id) {
				return true
			}
			time.Sleep(100 * time.Millisecond)
		}
		return false
	})
	if out := requester.String(); !strings.Contains(out, `"kind":"approval-denied"`) || !strings.Contains(out, "is refused by root: not today") {
		t.Errorf("heard %s", out)
	}
	id = pends(t, a, "uname", "-s")
	decided(t, a, "approve", id)
	eventually(t, "it is heard that a request was approved", func() bool { return strings.Contains(requester.String(), id) })
	if out := requester.String(); !strings.Contains(out, `"kind":"approval-approved"`) || !strings.Contains(out, "keeperAgent --run "+id) {
		t.Errorf("heard %s", out)
	}
	if out := other.String(); out != "" {
		t.Errorf("somebody else heard %s", out)
	}
}

// screen is what a program has written so far.
type screen struct {
	mu   sync.Mutex
	text strings.Builder
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// TestAutomaticApproval: what one policy's schedule approves runs at once, is a record as
// any other, and runs once; another policy's schedule is closed, and a DENY holds in an
// open one (W17).
func TestAutomaticApproval(t *testing.T) {
	now := time.Now().UTC()
	window := func(from, to time.Time) string {
		return fmt.Sprintf(`"Extension": {"AutomaticApproval": {"TimeZone": "UTC", "TimeCheck": [{"StartTime": %q, "EndTime": %q}]}}`, from.Format(time.TimeOnly), to.Format(time.TimeOnly))
	}
	policy := func(id, controls, program, more string) string {
		return fmt.Sprintf(`{"PolicyId": %q, "PolicyType": "PrivilegeElevation", "Actions": {"OnSuccess": {"Controls": [%s]}},
			"UserCheck": ["*", "#4242"], "MachineCheck": ["*"], "ApplicationCheck": ["/usr/bin/%s"]%s}`, id, controls, program, more)
	}
	open, closed := window(now.Add(-2*time.Hour), now.Add(6*time.Hour)), window(now.Add(8*time.Hour), now.Add(20*time.Hour))
	a := newAgent(t, "["+strings.Join([]string{
		policy("open", `"APPROVAL"`, "id", ", "+open), policy("closed", `"APPROVAL"`, "uname", `, "approvers": {"users": ["#4242", "nosuch", "#4243"]}, `+closed),
		policy("denied", `"APPROVAL"`, "true", ", "+open), policy("deny", `"DENY"`, "true", ""),
	}, ",\n")+"]", nil)
	if out, status := sudoed(t, a, "--no-wait", "--reason", "ticket 7", "id", "-u"); status != 0 || out != "0\n" {
		t.Errorf("in the window: %d %s", status, out)
	}
	if out, status := sudoed(t, a, "--no-wait", "--reason", "ticket 7", "true"); status != 1 {
		t.Errorf("what another policy denies: %d %s", status, out)
	}
	// Whom to ask is told, and nobody who cannot decide (W16).
	out, status := sudoed(t, a, "--no-wait", "--reason", "ticket 7", "uname")
	if status != 75 || !strings.Contains(out, "by 1 of ") || strings.Contains(out, "4242") || strings.Contains(out, "nosuch") {
		t.Errorf("out of the window: %d %s", status, out)
	}
	out, err := a.Admin(t.Context(), "approvals", "list", "--json")
	var list []view.Approval
	if err == nil {
		err = json.Unmarshal([]byte(out), &list)
	}
	if err != nil || len(list) != 2 {
		t.Fatalf("%v: %s", err, out)
	}
	for _, one := range list {
		switch one.FilePath {
		case "/usr/bin/id":
			if one.Status != "approved" || !one.Used || len(one.Decisions) != 1 || one.Decisions[0].Decision != "schedule" || one.Decisions[0].Approver != "the schedule of policy open" {
				t.Errorf("%+v", one)
			}
			if text, err := a.Admin(t.Context(), "approvals", "show", one.ID); err != nil || !strings.Contains(text, "schedule by the schedule of policy open at ") || !strings.Contains(text, "in UTC") {
				t.Errorf("%v: %s", err, text)
			}
		case "/usr/bin/uname":
			if one.Status != "pending" || len(one.Decisions) != 0 {
				t.Errorf("%+v", one)
			}
		default:
			t.Errorf("%+v", one)
		}
	}
	if journal := opened(t, a); !strings.Contains(journal, `"cause":"schedule"`) || !strings.Contains(journal, "the schedule of policy open") {
		t.Errorf("the journal does not say by what it was approved:\n%s", journal)
	}
}
