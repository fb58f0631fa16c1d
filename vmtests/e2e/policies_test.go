//go:build linux

package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kpm/vmtests/agent"
)

// policyOf is a policy for everyone that says what more there is to it.
func policyOf(id, control, more string) string {
	return fmt.Sprintf(`{"PolicyId": %q, "PolicyName": %q, "PolicyType": "CommandLine", "Status": "enforce",
 "Actions": {"OnSuccess": {"Controls": [%q]}}, "UserCheck": ["*"], "MachineCheck": ["*"]%s}`, id, "Policy "+id, control, more)
}

// sudoed runs keepersudo as a user and returns what it said, and its exit status.
func sudoed(t *testing.T, a *agent.Agent, args ...string) (string, int) {
	t.Helper()
	cmd := a.Sudo(t.Context(), 4242, args...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// linted runs the staged KeeperPolicy lint.
func linted(t *testing.T, a *agent.Agent, args ...string) (string, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(a.Root, "Plugins/bin/KeeperPolicy/KeeperPolicy"), append([]string{"lint", "--root", a.Root}, args...)...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// TestTargetUsers: a grant is for root unless it names others, and an unknown key
// beside it makes nobody root.
func TestTargetUsers(t *testing.T) {
	a := newAgent(t, "["+strings.Join([]string{
		policyOf("root", "ALLOW", `, "ApplicationCheck": ["/usr/bin/id"]`),
		policyOf("daemon", "ALLOW", `, "TargetUserCheck": ["daemon"], "ApplicationCheck": ["/usr/bin/whoami"]`),
		policyOf("run-as", "ALLOW", `, "RunAs": "daemon", "ApplicationCheck": ["/usr/bin/uname"]`),
		policyOf("all", "ALLOW", `, "TargetUserCheck": ["*"], "ApplicationCheck": ["/usr/bin/groups"]`),
		policyOf("not-as-nobody", "DENY", `, "TargetUserCheck": ["nobody"], "ApplicationCheck": ["/usr/bin/groups"]`),
	}, ",")+"]", nil)
	for _, tc := range []struct {
		args string
		want string // "" is a denial
	}{
		{"id -un", "root\n"},
		{"-u root id -un", "root\n"},
		{"-u #0 id -un", "root\n"},
		{"-u daemon id -un", ""},
		{"-u nobody id -un", ""},
		{"-u daemon whoami", "daemon\n"},
		{"-u #1 whoami", "daemon\n"},
		{"whoami", ""},
		{"-u nobody whoami", ""},
		{"uname", ""},
		{"-u daemon uname", ""},
		{"groups", "root\n"},
		{"-u daemon groups", "daemon\n"},
		{"-u nobody groups", ""},
	} {
		out, status := sudoed(t, a, strings.Fields(tc.args)...)
		if tc.want == "" && (status != 1 || !strings.HasPrefix(out, "keepersudo: ")) || tc.want != "" && (status != 0 || out != tc.want) {
			t.Errorf("keepersudo %s: exit status %d: %s", tc.args, status, out)
		}
	}
}

// TestOneWrongValue: what is wrong in one policy costs no other policy its force,
// neither when it is added nor at the next start.
func TestOneWrongValue(t *testing.T) {
	a := newAgent(t, policyOf("all", "ALLOW", ""), nil)
	for i, wrong := range []struct{ old, new string }{
		{`"UserCheck": ["*"]`, `"UserCheck": "alice"`},
		{`"MachineCheck": ["*"]`, `"MachineCheck": [1]`},
		{`"MachineCheck": ["*"]`, `"DateCheck": ["monday"]`},
		{`"MachineCheck": ["*"]`, `"RiskLevel": "high"`},
		{`"MachineCheck": ["*"]`, `"TimeCheck": {"StartTime": "9"}`},
		{`"MachineCheck": ["*"]`, `"Extension": {"AllowCommands": "id"}`},
		{`"PolicyType": "CommandLine"`, `"PolicyType": 5`},
		{`"Status": "enforce"`, `"Status": ["enforce"]`},
		{`"Actions": {"OnSuccess": {"Controls": ["ALLOW"]}}`, `"Actions": "ALLOW"`},
		{`"MachineCheck": ["*"]`, `"UserCheck": ["alice"]`}, // the second one of that name
	} {
		program := []string{"id", "whoami", "uname", "groups", "tty", "arch", "hostid", "nproc", "logname", "pwd"}[i]
		text := strings.Replace(policyOf(fmt.Sprintf("wrong-%d", i), "ALLOW", ""), wrong.old, wrong.new, 1)
		if err := errors.Join(a.Write(fmt.Sprintf("Policies/a%d.json", i), text),
			a.Write(fmt.Sprintf("Policies/b%d.json", i), policyOf(fmt.Sprintf("deny-%d", i), "DENY", `, "ApplicationCheck": ["/usr/bin/`+program+`"]`))); err != nil {
			t.Fatal(err)
		}
		eventually(t, "a DENY that was written beside "+wrong.new+" is in force", func() bool {
			out, status := sudoed(t, a, program)
			return status == 1 && strings.Contains(out, fmt.Sprintf("deny-%d", i))
		})
	}
	// A file that is no JSON keeps its own last version, and keeps no other out.
	if err := errors.Join(a.Write("Policies/b0.json", "{"), a.Write("Policies/c.json", policyOf("deny-c", "DENY", `, "ApplicationCheck": ["/usr/bin/date"]`))); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a DENY that was written beside a broken file is in force", func() bool {
		out, status := sudoed(t, a, "date")
		return status == 1 && strings.Contains(out, "deny-c")
	})
	if out, status := sudoed(t, a, "id"); status != 1 || !strings.Contains(out, "deny-0") {
		t.Errorf("what the broken file denied: exit status %d: %s", status, out)
	}
	if err := a.Write("Policies/b0.json", policyOf("deny-0", "DENY", `, "ApplicationCheck": ["/usr/bin/id"]`)); err != nil {
		t.Fatal(err)
	}
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "after a restart the others are in force", func() bool { _, status := sudoed(t, a, "true"); return status == 0 })
	if out, status := sudoed(t, a, "whoami"); status != 1 || !strings.Contains(out, "deny-1") {
		t.Errorf("after a restart: exit status %d: %s", status, out)
	}
}

// TestWhatTheVendorsToolWrites: "*" in filters of time, spans with one end, and
// controls as one string mean what they say there.
func TestWhatTheVendorsToolWrites(t *testing.T) {
	vendor := func(id, program, filters string) string {
		return fmt.Sprintf(`{"PolicyId": %q, "PolicyName": "P", "PolicyType": "PrivilegeElevation", "Status": "enforce",
 "Actions": {"OnSuccess": {"Controls": "ALLOW\r\nNOTIFY"}, "OnFailure": {"Command": ""}}, "UserCheck": ["*"], "MachineCheck": ["*"],
 "ApplicationCheck": [%q], %s}`, id, "/usr/bin/"+program, filters)
	}
	a := newAgent(t, "["+strings.Join([]string{
		vendor("any", "id", `"DateCheck": ["*"], "TimeCheck": ["*"], "DayCheck": ["*"]`),
		vendor("since", "whoami", `"DateCheck": [{"StartDate": "2020-01-01"}], "TimeCheck": [{"StartTime": "0"}]`),
		vendor("until", "uname", `"DateCheck": [{"StartDate": "", "EndDate": "2999-12-31"}]`),
		vendor("over", "tty", `"DateCheck": [{"EndDate": "2020-01-01"}]`),
		vendor("milliseconds", "arch", `"DateCheck": [{"StartDate": 0, "EndDate": null}]`),
	}, ",")+"]", nil)
	for program, allowed := range map[string]bool{"id": true, "whoami": true, "uname": true, "tty": false, "arch": true} {
		if out, _ := sudoed(t, a, program); strings.HasPrefix(out, "keepersudo: ") == allowed {
			t.Errorf("%s: %s", program, out)
		}
	}
}

// TestManyPolicyFiles: more files than anybody has are read, and after a restart
// as well.
func TestManyPolicyFiles(t *testing.T) {
	const files = 10_100
	a := newAgent(t, allowAll, func(a *agent.Agent) {
		for i := range files {
			path := filepath.Join(a.Root, fmt.Sprintf("Policies/synced/%05d.json", i))
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(policyOf(fmt.Sprint(i), "DENY", fmt.Sprintf(`, "ApplicationCheck": ["/opt/x/%d"]`, i))), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
	})
	for deadline := time.Now().Add(patience); ; {
		out, status := sudoed(t, a, "id")
		if status == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("nothing is allowed with %d policy files: %s\n%s", files, out, a.Log())
		}
	}
}
