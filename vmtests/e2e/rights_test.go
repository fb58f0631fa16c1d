//go:build linux

package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kpm/vmtests/agent"
	"kpm/vmtests/apart"
)

// administrators is a group of its own, since other agents of these tests look at the
// system's.
const administrators = "kpmadmins"

// leastPrivilege is a policy that takes people out of the group.
func leastPrivilege(status, users, extension string) string {
	return fmt.Sprintf(`{"PolicyId": "least", "PolicyName": "No administrators", "PolicyType": "LeastPrivilege", "Status": %q,
 "Actions": {"OnSuccess": {"Controls": []}}, "UserCheck": [%s], "MachineCheck": ["*"], "ApplicationCheck": [], "Extension": {%s}}`, status, users, extension)
}

// members are those of the group, as /etc/group has them.
func members(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("/etc/group")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Split(strings.TrimSpace(line), ":"); f[0] == administrators {
			return f[3]
		}
	}
	t.Fatal("no group " + administrators)
	return ""
}

// administrate makes a group of administrators with these people in it.
func administrate(t *testing.T, uids ...uint32) {
	t.Helper()
	must := func(argv ...string) {
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%q: %s %v", argv, out, err)
		}
	}
	if exec.Command("getent", "group", administrators).Run() != nil {
		must("groupadd", "--system", administrators)
	}
	must("gpasswd", "--members", "", administrators)
	for _, uid := range uids {
		if err := apart.Person(uid); err != nil {
			t.Fatal(err)
		}
		must("gpasswd", "--add", apart.Name(uid), administrators)
	}
}

// setRights writes the settings of the group.
func setRights(t *testing.T, protected string) func(*agent.Agent) {
	return func(a *agent.Agent) {
		path := filepath.Join(a.Root, "appsettings.json")
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		at := strings.LastIndexByte(string(data), '}')
		text := string(data[:at]) + fmt.Sprintf(`, "Rights": {"Groups": [%q], "Protected": [%q], "CheckSeconds": 5}}`, administrators, protected)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLeastPrivilege: enforced policies take people out of the group, monitoring ones
// say so, and what was taken is given back when a policy goes, when an administrator
// says so, and when the agent goes.
func TestLeastPrivilege(t *testing.T) {
	ada, bob, eve := apart.Name(7001), apart.Name(7002), apart.Name(7003)
	administrate(t, 7001, 7002, 7003)
	monitored := leastPrivilege("monitor", `"*"`, "")
	a := newAgent(t, monitored, setRights(t, eve))
	policy := filepath.Join(a.Root, "Policies", "rights.json")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(policy+".new", []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(policy+".new", policy); err != nil {
			t.Fatal(err)
		}
	}
	are := func(what string, names ...string) {
		t.Helper()
		want := strings.Join(names, ",")
		eventually(t, what+", expected "+want, func() bool { return members(t) == want })
	}
	wrote := func(kind, cause, user string) func() bool {
		return func() bool {
			for _, r := range records(t, a) {
				if r["type"] == kind && r["cause"] == cause && r["user"] == user && r["group"] == administrators {
					return true
				}
			}
			return false
		}
	}
	eventually(t, "a monitoring policy is journalled", wrote("rights", "would-take", ada))
	are("it takes nobody", ada, bob, eve)

	write(leastPrivilege("enforce", fmt.Sprintf("%q, %q", "%"+administrators, ada), fmt.Sprintf(`"Exclusions": [%q]`, bob)))
	are("enforced: all but who is excluded and who is protected", bob, eve)
	eventually(t, "it is journalled", wrote("rights", "taken", ada))
	if out, err := a.Admin(t.Context(), "rights", "list"); err != nil || !strings.Contains(out, ada) || !strings.Contains(out, "least") {
		t.Error(out, err)
	}
	// She is put in again by somebody, and out again at the next look.
	if out, err := exec.Command("gpasswd", "--add", ada, administrators).CombinedOutput(); err != nil {
		t.Fatal(string(out), err)
	}
	if out, err := a.Admin(t.Context(), "rights", "check"); err != nil {
		t.Fatal(out, err)
	}
	are("put in by somebody", bob, eve)

	if out, err := a.Admin(t.Context(), "rights", "return", ada); err != nil {
		t.Fatal(out, err)
	}
	are("given back by an administrator", bob, eve, ada)
	if out, err := a.Admin(t.Context(), "rights", "resume", ada); err != nil {
		t.Fatal(out, err)
	}
	are("resumed", bob, eve)

	write(leastPrivilege("off", fmt.Sprintf("%q", ada), ""))
	are("the policy is off", bob, eve, ada)
	eventually(t, "that is journalled", wrote("rights-back", "given-back", ada))

	write(leastPrivilege("enforce", fmt.Sprintf("%q", ada), ""))
	are("enforced again", bob, eve)
	if err := a.Kill(); err != nil {
		t.Fatal(err)
	}
	// The agent is removed.
	if out, err := exec.Command(filepath.Join(a.Root, "KeeperPrivilegeManager"), "rights", "give-back", "--root", a.Root).CombinedOutput(); err != nil {
		t.Fatal(string(out), err)
	}
	are("the agent is removed", bob, eve, ada)
}

// TestAnAdministratorForATime: a grant makes somebody an administrator, until it is
// over, also if the service does not run by then.
func TestAnAdministratorForATime(t *testing.T) {
	person, bob := apart.Name(4242), apart.Name(7002)
	administrate(t, 7002)
	a := newAgent(t, policyOf("admin", "JUSTIFY", `, "ApplicationCheck": ["*"], "Extension": {"Grant": {"For": "30m", "Covers": "administrator"}}`), setRights(t, bob))
	s := newShell(t, a)
	s.reasoned("keepersudo --for 20m id -u")
	eventually(t, "a member", func() bool { return members(t) == bob+","+person })
	if list := grantsOf(t, a); len(list) != 1 || list[0].SecondsLeft > 1200 {
		t.Errorf("%+v", list)
	} else if out, err := a.Admin(t.Context(), "grants", "revoke", list[0].ID); err != nil {
		t.Fatal(out, err)
	}
	eventually(t, "revoked", func() bool { return members(t) == bob })

	s.reasoned("keepersudo --for 1s id -u")
	eventually(t, "its time is over", func() bool {
		ended := 0
		for _, r := range records(t, a) {
			if r["type"] == "rights-back" && r["cause"] == "ended" {
				ended++
			}
		}
		return ended == 2 && members(t) == bob
	})

	s.reasoned("keepersudo --for 10s id -u")
	eventually(t, "a member", func() bool { return members(t) == bob+","+person })
	if err := a.Kill(); err != nil {
		t.Fatal(err)
	}
	// It is what the system's timer runs.
	eventually(t, "ended without a service", func() bool {
		if out, err := exec.Command(filepath.Join(a.Root, "KeeperPrivilegeManager"), "rights", "end-overdue", "--root", a.Root).CombinedOutput(); err != nil {
			t.Fatal(string(out), err)
		}
		return members(t) == bob
	})
}

// TestAnAdministratorByApproval: a person asks to be an administrator for a time, somebody
// else agrees in the console, and the rights end when the time is over, also if the agent
// does not run by then.
// https://github.com/fleetdm/fleet/issues/39888
func TestAnAdministratorByApproval(t *testing.T) {
	person, bob := apart.Name(4242), apart.Name(7002)
	administrate(t, 7002)
	a := newAgent(t, policyOf("admin", "APPROVAL", `, "ApplicationCheck": ["*"], "Extension": {"Grant": {"For": "30m", "Covers": "administrator"}}`), setRights(t, bob))
	s := newShell(t, a)
	approved := func(length string) {
		t.Helper()
		s.types("keepersudo --reason 'a printer' --for " + length + " id -u\n")
		said := s.until("approval ")
		id := s.until(" ")
		if members(t) != bob {
			t.Errorf("nobody has agreed yet, and administrators are %s: %q", members(t), said)
		}
		decided(t, a, "approve", strings.Trim(id, "(),.:\r\n"))
		if out := s.until(ready); !strings.Contains(out, "\n0\r") {
			t.Errorf("approved: %q", out)
		}
		eventually(t, "a member", func() bool { return members(t) == bob+","+person })
	}
	approved("1h")
	list := grantsOf(t, a)
	if len(list) != 1 || list[0].User != person || list[0].SecondsLeft > 1800 {
		t.Fatalf("%+v", list)
	}
	if out, err := a.Admin(t.Context(), "grants", "revoke", list[0].ID); err != nil {
		t.Fatal(out, err)
	}
	eventually(t, "revoked", func() bool { return members(t) == bob })
	approved("15s")
	if err := a.Kill(); err != nil {
		t.Fatal(err)
	}
	for until := time.Now().Add(time.Minute); members(t) != bob; time.Sleep(200 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("while the agent does not run administrators are %s", members(t))
		}
		if out, err := exec.Command(filepath.Join(a.Root, "KeeperPrivilegeManager"), "rights", "end-overdue", "--root", a.Root).CombinedOutput(); err != nil {
			t.Fatal(string(out), err)
		}
	}
	if _, err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	if list := grantsOf(t, a); len(list) != 0 || members(t) != bob {
		t.Errorf("the next service has %+v, administrators are %s", list, members(t))
	}
}
