//go:build linux

package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kpm/vmtests/agent"
)

// run types a command line at an interactive shell and returns what was shown until
// the next prompt.
func (s *shell) run(line string) string {
	s.t.Helper()
	s.types(line + "\r")
	return s.until(ready)
}

// reasoned is run for a command of which a reason is asked.
func (s *shell) reasoned(line string) string {
	s.t.Helper()
	s.types(line + "\r")
	before := s.until("Reason for running")
	s.until(": ")
	s.types("mend it\r")
	return before + s.until(ready)
}

// justified is a policy that asks for a reason to run a program, and lets that be
// remembered.
func justified(id, program, grant string) string {
	return policyOf(id, "JUSTIFY", `, "ApplicationCheck": ["/usr/bin/`+program+`"], "Extension": {"Grant": `+grant+`}`)
}

// forbids is what -n says where something would be asked.
const forbids = "-n forbids"

// granted is a grant as GET /api/grants lists it.
type granted struct {
	ID, User, Command string
	SecondsLeft       int
}

func grantsOf(t *testing.T, a *agent.Agent) (list []granted) {
	t.Helper()
	out, err := a.Admin(t.Context(), "grants", "list", "--json")
	if err == nil {
		err = json.Unmarshal([]byte(out), &list)
	}
	if err != nil {
		t.Fatal(out, err)
	}
	return list
}

// ended reports whether the journal says that a grant has ended, in these words.
func ended(t *testing.T, a *agent.Agent, why string) bool {
	for _, r := range records(t, a) {
		if r["type"] == "grant-ended" && r["message"] == why {
			return true
		}
	}
	return false
}

// TestGrants: what is given in a terminal for a time is used there, by nobody else,
// and until it is used up, over, revoked or denied.
func TestGrants(t *testing.T) {
	a := newAgent(t, "["+strings.Join([]string{
		justified("counted", "id", `{"For": "30m", "Uses": 3}`),
		justified("brief", "whoami", `{"For": "1s"}`),
		justified("kept", "uname", `{"For": "30m"}`),
		justified("revoked", "arch", `{"For": "30m"}`),
	}, ",")+"]", nil)
	s, other := newShell(t, a), newShell(t, a)
	agents := t.TempDir()
	for dir := agents; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		mode := os.FileMode(0o755)
		if dir == agents {
			mode = 0o777 // people write there
		}
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
	}
	codex := filepath.Join(agents, "codex")
	if err := os.WriteFile(codex, []byte("#!/bin/sh\nkeepersudo -n id -u\necho the agent is done\n"), 0o755); err != nil {
		t.Fatal(err)
	}

	out := s.reasoned("keepersudo --for 2h id -u")
	if !strings.Contains(out, `It is remembered for 30m: policy "Policy counted" allows no more.`) {
		t.Errorf("the smaller wins, and is said: %q", out)
	}
	if list := grantsOf(t, a); len(list) != 1 || list[0].SecondsLeft > 1800 || list[0].SecondsLeft < 1000 || list[0].Command != "/usr/bin/id -u" {
		t.Errorf("%+v", list)
	}
	if out := s.run("keepersudo -l"); !strings.Contains(out, "need not be asked again for a time:") || !strings.Contains(out, "left: /usr/bin/id -u as root") {
		t.Errorf("-l: %q", out)
	}
	if out := s.run("keepersudo -n id -u"); !strings.Contains(out, "\n0\r") {
		t.Errorf("in the terminal: %q", out)
	}
	for name, refused := range map[string]string{
		"another terminal":               other.run("keepersudo -n id -u"),
		"a process without the terminal": s.run("setsid -w keepersudo -n id -u"),
		"one that has left its parents":  left(t, s, agents),
		"another command":                s.run("keepersudo -n id -g"),
		"an agent in the terminal":       s.run(codex),
	} {
		if !strings.Contains(refused, forbids) {
			t.Errorf("%s: %q", name, refused)
		}
	}
	s.run("keepersudo -n id -u")
	if out := s.run("keepersudo -n id -u"); !strings.Contains(out, "\n0\r") {
		t.Errorf("the third time: %q", out)
	}
	if out := s.run("keepersudo -n id -u"); !strings.Contains(out, forbids) {
		t.Errorf("used up: %q", out)
	}

	s.reasoned("keepersudo --for 1s whoami")
	eventually(t, "it is over, with nothing else going on", func() bool { return ended(t, a, "its time is over") })
	if out := s.run("keepersudo -n whoami"); !strings.Contains(out, forbids) {
		t.Errorf("over: %q", out)
	}

	s.reasoned("keepersudo --for 10m arch")
	for _, g := range grantsOf(t, a) {
		if out, err := a.Admin(t.Context(), "grants", "revoke", g.ID); err != nil || !strings.Contains(out, "has ended") {
			t.Error(out, err)
		}
	}
	if out := s.run("keepersudo -n arch"); !strings.Contains(out, forbids) || !ended(t, a, "it was revoked") {
		t.Errorf("revoked: %q", out)
	}

	s.reasoned("keepersudo --for 10m uname")
	if err := a.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "what was given outlives the service", func() bool { return strings.Contains(s.run("keepersudo -n uname"), "\nLinux\r") })
	if err := a.Write("Policies/deny.json", policyOf("deny", "DENY", `, "ApplicationCheck": ["/usr/bin/uname"]`)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a DENY holds at once", func() bool { return strings.Contains(s.run("keepersudo -n uname"), "Policy deny") })

	// The journal says who was behind each request.
	behind := map[string]bool{}
	for _, r := range records(t, a) {
		if origin, ok := r["origin"].(map[string]any); ok && r["type"] == "opened" {
			by, _ := origin["by"].(string)
			behind[by] = true
			if by == "agent" && origin["agent"] != "codex" {
				t.Errorf("%v", origin)
			}
		}
	}
	if !behind["terminal"] || !behind["agent"] || !behind["service"] {
		t.Errorf("behind the requests were %v", behind)
	}
}

// left is what keepersudo says to a process in the terminal whose parent has ended.
func left(t *testing.T, s *shell, dir string) string {
	t.Helper()
	script, said := filepath.Join(dir, "orphan"), filepath.Join(dir, "said")
	text := `#!/bin/sh
while [ "$(cut -d' ' -f4 /proc/$$/stat)" = "$1" ]; do :; done
keepersudo -n id -u > ` + said + `.part 2>&1
mv ` + said + `.part ` + said + "\n"
	if err := os.WriteFile(script, []byte(text), 0o755); err != nil {
		t.Fatal(err)
	}
	s.run("(p=$BASHPID; " + script + " $p &)")
	var out []byte
	eventually(t, "the orphan has asked", func() bool {
		var err error
		out, err = os.ReadFile(said)
		return err == nil
	})
	return string(out)
}

// TestRequestedBy: a policy says who may be behind a request.
func TestRequestedBy(t *testing.T) {
	by := func(id, program, words string) string {
		return policyOf(id, "ALLOW", `, "ApplicationCheck": ["/usr/bin/`+program+`"], "Extension": {"RequestedBy": [`+words+`]}`)
	}
	a := newAgent(t, "["+by("people", "id", `"terminal", "desktop"`)+","+by("services", "whoami", `"service"`)+"]", nil)
	s := newShell(t, a)
	if out := s.run("keepersudo id -u"); !strings.Contains(out, "\n0\r") {
		t.Errorf("at a terminal: %q", out)
	}
	if out := s.run("keepersudo whoami"); !strings.Contains(out, "No policy allows") {
		t.Errorf("at a terminal: %q", out)
	}
	for program, want := range map[string]string{"id": "No policy allows", "whoami": "root"} {
		if out, _ := sudoed(t, a, program); !strings.Contains(out, want) {
			t.Errorf("%s of a service: %q", program, out)
		}
	}
}

// TestMonitoring: what only watches is in the journal and told, and changes nothing.
func TestMonitoring(t *testing.T) {
	watching := strings.Replace(policyOf("soon", "MFA", `, "ApplicationCheck": ["/usr/bin/id"], "NotificationMessage": "id will need a second factor."`), `"enforce"`, `"monitor_and_notify"`, 1)
	denying := strings.Replace(policyOf("quiet", "DENY", `, "ApplicationCheck": ["/usr/bin/whoami"]`), `"enforce"`, `"monitor"`, 1)
	a := newAgent(t, "["+policyOf("all", "ALLOW", "")+","+watching+","+denying+"]", nil)
	if out, status := sudoed(t, a, "id", "-u"); status != 0 || !strings.Contains(out, "keepersudo: id will need a second factor.\n") || !strings.HasSuffix(out, "0\n") {
		t.Errorf("%d: %q", status, out)
	}
	if out, status := sudoed(t, a, "whoami"); status != 0 || out != "root\n" {
		t.Errorf("%d: %q", status, out)
	}
	out, err := a.Admin(t.Context(), "audit", "tail", "-n", "100")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`outcome=PENDING by=KeeperPolicy policy="Policy soon" control=MFA`, `outcome=DENY by=KeeperPolicy policy="Policy quiet"`} {
		if !strings.Contains(out, "monitored") || !strings.Contains(out, want) {
			t.Errorf("the journal has no %q:\n%s", want, out)
		}
	}
	out, err = a.Admin(t.Context(), "policy", "replay")
	if err != nil || !strings.Contains(out, "monitoring policy quiet: meets 1, and would change 1 if it were enforced") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestFilterJobs: a job decides whether a policy applies, and is waited for longer
// than decisions are.
func TestFilterJobs(t *testing.T) {
	job := func(id, command, arguments string) func(a *agent.Agent) error {
		return func(a *agent.Agent) error {
			return a.Write("Jobs/"+id+".json", `{"id": "`+id+`", "name": "`+id+`", "enabled": true, "tasks": [{"id": "ask", "name": "ask", "ExecutionType": "Service",
				"command": "`+command+`", "executablePath": "/usr/bin/`+command+`", "arguments": "`+arguments+`"}]}`)
		}
	}
	filtered := func(id, control, program, job string) string {
		return policyOf(id, control, `, "ApplicationCheck": ["/usr/bin/`+program+`"], "Extension": {"CustomFilterJobId": "`+job+`"}`)
	}
	a := newAgent(t, "["+strings.Join([]string{
		filtered("passes", "ALLOW", "id", "is-ada"), filtered("fails", "ALLOW", "whoami", "is-bob"), filtered("missing", "ALLOW", "arch", "no-job"),
		filtered("slow", "ALLOW", "uname", "slow"),
		policyOf("tty", "ALLOW", `, "ApplicationCheck": ["/usr/bin/tty", "/usr/bin/groups"]`), filtered("deny-not", "DENY", "tty", "is-bob"), filtered("deny-missing", "DENY", "groups", "no-job"),
	}, ",")+"]", func(a *agent.Agent) {
		for _, write := range []func(*agent.Agent) error{job("is-ada", "test", "{UserName} = person4242"), job("is-bob", "test", "{UserName} = bob"), job("slow", "sleep", "6")} {
			if err := write(a); err != nil {
				t.Fatal(err)
			}
		}
		if err := a.Write("appsettings.json", `{"Settings": {"KestrelHttpPort": 0, "KestrelHttpsPort": 0}, "MqttBrokerSettings": {"Port": 0}, "Requests": {"EvaluateSeconds": 5}}`); err != nil {
			t.Fatal(err)
		}
	})
	for program, want := range map[string]string{
		"id": "uid=0", "whoami": "No policy allows", "arch": "No policy allows", "uname": "Linux", "tty": "not a tty", "groups": "Policy deny-missing",
	} {
		if out, status := sudoed(t, a, program); !strings.Contains(out, want) {
			t.Errorf("%s: exit status %d, %q, expected %q\n%s", program, status, out, want, a.Log())
		}
	}
	if out, status := linted(t, a, filepath.Join(a.Root, "Policies")); status != 1 || !strings.Contains(out, `found "no-job", a job that this machine does not have`) || strings.Contains(out, `"is-ada"`) {
		t.Errorf("lint: %d: %s", status, out)
	}
}
