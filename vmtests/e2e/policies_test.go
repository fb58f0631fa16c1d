//go:build linux

package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"kpm/vmtests/agent"
)

// rule is a policy for everyone that says what more there is to it.
func rule(id, control, more string) string {
	return fmt.Sprintf(`{"PolicyId": %q, "PolicyName": %q, "PolicyType": "CommandLine", "Status": "enforce",
 "Actions": {"OnSuccess": {"Controls": [%q]}}, "UserCheck": ["*"], "MachineCheck": ["*"]%s}`, id, "Policy "+id, control, more)
}

// sudo runs keepersudo as a user and returns what it said, and its exit status.
func sudo(t *testing.T, a *agent.Agent, args ...string) (string, int) {
	t.Helper()
	cmd := a.Sudo(t.Context(), 4242, args...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// lint runs the staged KeeperPolicy lint.
func lint(t *testing.T, a *agent.Agent, args ...string) (string, int) {
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
		rule("root", "ALLOW", `, "ApplicationCheck": ["/usr/bin/id"]`),
		rule("daemon", "ALLOW", `, "TargetUserCheck": ["daemon"], "ApplicationCheck": ["/usr/bin/whoami"]`),
		rule("run-as", "ALLOW", `, "RunAs": "daemon", "ApplicationCheck": ["/usr/bin/uname"]`),
		rule("all", "ALLOW", `, "TargetUserCheck": ["*"], "ApplicationCheck": ["/usr/bin/groups"]`),
		rule("not-as-nobody", "DENY", `, "TargetUserCheck": ["nobody"], "ApplicationCheck": ["/usr/bin/groups"]`),
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
		out, status := sudo(t, a, strings.Fields(tc.args)...)
		if tc.want == "" && (status != 1 || !strings.HasPrefix(out, "keepersudo: ")) || tc.want != "" && (status != 0 || out != tc.want) {
			t.Errorf("keepersudo %s: exit status %d: %s", tc.args, status, out)
		}
	}
}

// TestPathWildcards: a wildcard over paths stays where it looks to stay.
func TestPathWildcards(t *testing.T) {
	dir := reachable(t)
	web, other := filepath.Join(dir, "web"), filepath.Join(dir, "other")
	if err := errors.Join(os.Mkdir(web, 0o755), os.WriteFile(filepath.Join(web, "page"), []byte("page\n"), 0o600),
		os.WriteFile(other, []byte("secret\n"), 0o600), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	a := newAgent(t, rule("tail", "ALLOW", `, "ApplicationCheck": ["/usr/bin/tail"], "Extension": {"AllowCommands": ["tail -n 1 `+web+`/*"]}`), nil)
	for path, want := range map[string]string{
		web + "/page": "page\n", web + "/./page": "page\n", web + "/../other": "", web + "/../web/../other": "", web + "/..//other": "",
	} {
		out, status := sudo(t, a, "tail", "-n", "1", path)
		if want == "" && (status != 1 || strings.Contains(out, "secret")) || want != "" && out != want {
			t.Errorf("%s: exit status %d: %s", path, status, out)
		}
	}
}

// TestPathArgumentThatIsExchanged: the command is given the file that was decided
// on, whatever its owner has made of its name by then.
func TestPathArgumentThatIsExchanged(t *testing.T) {
	dir := reachable(t)
	web, secret := filepath.Join(dir, "web"), filepath.Join(dir, "secret")
	page := filepath.Join(web, "page")
	fresh := func() {
		if err := errors.Join(os.RemoveAll(web), os.Mkdir(web, 0o755), os.WriteFile(page, []byte("page\n"), 0o644),
			os.Chown(web, 4242, 4242), os.Chown(page, 4242, 4242)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.WriteFile(secret, []byte("secret\n"), 0o600), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	a := newAgent(t, "["+rule("cat", "ALLOW", `, "ApplicationCheck": ["/usr/bin/cat"], "Extension": {"AllowCommands": ["cat {path:`+web+`/*}"]}`)+","+
		rule("chown", "ALLOW", `, "ApplicationCheck": ["/usr/bin/chown"], "Extension": {"AllowCommands": ["chown --from=4242 root {path:`+web+`/*}"]}`)+"]", nil)

	fresh()
	for _, tc := range []struct{ dir, path, want string }{
		{"/", page, "page\n"},
		{web, "page", "page\n"},
		{web, "../web/page", "page\n"},
		{dir, "secret", ""},
		{web, "../secret", ""},
		{"/", web + "/missing", ""},
	} {
		cmd := a.Sudo(t.Context(), 4242, "cat", tc.path)
		cmd.Dir = tc.dir
		out, err := cmd.CombinedOutput()
		if tc.want == "" && (err == nil || bytes.Contains(out, []byte("secret\n"))) || tc.want != "" && string(out) != tc.want {
			t.Errorf("cat %s in %s: %v: %s", tc.path, tc.dir, err, out)
		}
	}
	if out, status := sudo(t, a, "chown", "--from=4242", "root", page); status != 0 {
		t.Errorf("chown: %s", out)
	} else if info, err := os.Stat(page); err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Errorf("chown changed nothing: %v, %v", info, err)
	}

	// A link, and another name of root's file, are not what lies below web.
	fresh()
	if err := errors.Join(os.Remove(page), os.Symlink(secret, page)); err != nil {
		t.Fatal(err)
	}
	if out, status := sudo(t, a, "cat", page); status != 1 || strings.Contains(out, "secret\n") {
		t.Errorf("a link: exit status %d: %s", status, out)
	}
	if err := errors.Join(os.Remove(page), os.Link(secret, page)); err != nil {
		t.Fatal(err)
	}
	if out, status := sudo(t, a, "cat", page); status == 0 || strings.Contains(out, "secret\n") || !strings.Contains(out, "2 names") {
		t.Errorf("another name: exit status %d: %s", status, out)
	}

	// Its owner exchanges it for a link and back, all the time.
	fresh()
	next := filepath.Join(web, "next")
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if i%2 == 0 {
				_ = os.Symlink(secret, next)
			} else {
				_ = os.WriteFile(next, []byte("page\n"), 0o644)
			}
			_ = os.Rename(next, page)
		}
	}()
	ran := 0
	for i := range 200 {
		out, status := sudo(t, a, "cat", page)
		if strings.Contains(out, "secret\n") {
			t.Errorf("request %d read what the link leads to: %s", i, out)
			break
		}
		if status == 0 && out == "page\n" {
			ran++
		}
	}
	close(stop)
	<-stopped
	if ran == 0 {
		t.Error("none of 200 requests ran, so that nothing has been tested")
	}
}

// TestDenyOfALink: a DENY of a link holds for the program that it leads to, by
// whatever name it is called, and when the link is changed.
func TestDenyOfALink(t *testing.T) {
	dir := reachable(t)
	link := filepath.Join(dir, "tool")
	if err := errors.Join(os.Symlink("/usr/bin/uname", link), os.Chmod(dir, 0o755)); err != nil {
		t.Fatal(err)
	}
	awk, err := filepath.EvalSymlinks("/usr/bin/awk")
	if err != nil {
		t.Fatal(err)
	}
	a := newAgent(t, "["+rule("all", "ALLOW", "")+","+rule("no-awk", "DENY", `, "ApplicationCheck": ["/usr/bin/awk"]`)+","+
		rule("no-tool", "DENY", `, "ApplicationCheck": ["`+link+`"]`)+"]", nil)
	for _, program := range []string{"awk", "/usr/bin/awk", awk, filepath.Base(awk)} {
		if out, status := sudo(t, a, program, "BEGIN { print 1 }"); status != 1 || !strings.Contains(out, "no-awk") {
			t.Errorf("%s: exit status %d: %s", program, status, out)
		}
	}
	if out, status := sudo(t, a, "uname"); status != 1 || !strings.Contains(out, "no-tool") {
		t.Errorf("uname: exit status %d: %s", status, out)
	}
	if out, status := sudo(t, a, "whoami"); status != 0 || out != "root\n" {
		t.Errorf("whoami: exit status %d: %s", status, out)
	}
	// As update-alternatives does it.
	if err := errors.Join(os.Symlink("/usr/bin/whoami", link+".next"), os.Rename(link+".next", link)); err != nil {
		t.Fatal(err)
	}
	if out, status := sudo(t, a, "whoami"); status != 1 || !strings.Contains(out, "no-tool") {
		t.Errorf("whoami after the link has changed: exit status %d: %s", status, out)
	}
	if out, status := sudo(t, a, "uname"); status != 0 {
		t.Errorf("uname after the link has changed: exit status %d: %s", status, out)
	}
}

// TestOneWrongValue: what is wrong in one policy costs no other policy its force,
// neither when it is added nor at the next start.
func TestOneWrongValue(t *testing.T) {
	a := newAgent(t, rule("all", "ALLOW", ""), nil)
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
		text := strings.Replace(rule(fmt.Sprintf("wrong-%d", i), "ALLOW", ""), wrong.old, wrong.new, 1)
		if err := errors.Join(a.Write(fmt.Sprintf("Policies/a%d.json", i), text),
			a.Write(fmt.Sprintf("Policies/b%d.json", i), rule(fmt.Sprintf("deny-%d", i), "DENY", `, "ApplicationCheck": ["/usr/bin/`+program+`"]`))); err != nil {
			t.Fatal(err)
		}
		eventually(t, "a DENY that was written beside "+wrong.new+" is in force", func() bool {
			out, status := sudo(t, a, program)
			return status == 1 && strings.Contains(out, fmt.Sprintf("deny-%d", i))
		})
	}
	// A file that is no JSON keeps its own last version, and keeps no other out.
	if err := errors.Join(a.Write("Policies/b0.json", "{"), a.Write("Policies/c.json", rule("deny-c", "DENY", `, "ApplicationCheck": ["/usr/bin/date"]`))); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a DENY that was written beside a broken file is in force", func() bool {
		out, status := sudo(t, a, "date")
		return status == 1 && strings.Contains(out, "deny-c")
	})
	if out, status := sudo(t, a, "id"); status != 1 || !strings.Contains(out, "deny-0") {
		t.Errorf("what the broken file denied: exit status %d: %s", status, out)
	}
	if err := a.Write("Policies/b0.json", rule("deny-0", "DENY", `, "ApplicationCheck": ["/usr/bin/id"]`)); err != nil {
		t.Fatal(err)
	}
	if err := a.Stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "after a restart the others are in force", func() bool { _, status := sudo(t, a, "true"); return status == 0 })
	if out, status := sudo(t, a, "whoami"); status != 1 || !strings.Contains(out, "deny-1") {
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
		if out, _ := sudo(t, a, program); strings.HasPrefix(out, "keepersudo: ") == allowed {
			t.Errorf("%s: %s", program, out)
		}
	}
}

// readmePolicy is the example of README.md.
func readmePolicy(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(text), "```json\n")
	policy, _, ended := strings.Cut(rest, "```")
	if !found || !ended || !json.Valid([]byte(policy)) {
		t.Fatal("README.md has no example")
	}
	return policy
}

// TestTheReadmesExample gives what it says and not root.
func TestTheReadmesExample(t *testing.T) {
	policy := strings.Replace(readmePolicy(t), `"alice"`, `"#4242"`, 1)
	a := newAgent(t, policy, nil)
	dir := reachable(t)
	unit := filepath.Join(dir, "mine.service")
	if err := os.WriteFile(unit, []byte("[Service]\nExecStart=/bin/sh -c id\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{
		{"systemctl", "link", unit}, {"systemctl", "enable", "--now", unit}, {"systemctl", "edit", "cups"}, {"systemctl", "restart", "sshd"},
		{"systemctl", "restart", "cups", unit}, {"systemctl", "-H", "restart", "cups"}, {"systemctl"},
	} {
		if out, status := sudo(t, a, append([]string{"-n"}, command...)...); status != 1 || !strings.Contains(out, "No policy allows this command for you") {
			t.Errorf("%s: exit status %d: %s", command, status, out)
		}
	}
	// Without the list of commands it would, and lint says so.
	var open map[string]any
	if err := json.Unmarshal([]byte(policy), &open); err != nil {
		t.Fatal(err)
	}
	delete(open, "Extension")
	text, err := json.Marshal(open)
	path := filepath.Join(dir, "open.json")
	if err := errors.Join(err, os.WriteFile(path, text, 0o644)); err != nil {
		t.Fatal(err)
	}
	if out, _ := lint(t, a, path); !strings.Contains(out, "it starts units that anybody can write") {
		t.Errorf("lint of the example without its commands says\n%s", out)
	}
	// What it is for needs a reason, which -n refuses to ask for.
	if out, _ := sudo(t, a, "-n", "systemctl", "restart", "cups"); strings.Contains(out, "No policy") {
		t.Errorf("what it is for: %s", out)
	}
}

// TestLintWarnsAuthors: lint says what a policy gives away, and what this machine
// knows about it.
func TestLintWarnsAuthors(t *testing.T) {
	a := newAgent(t, allowAll, nil)
	dir := t.TempDir()
	for _, tc := range []struct {
		what, policy string
		status       int
		says         string
	}{
		{"systemctl with any arguments", rule("p", "JUSTIFY", `, "ApplicationCheck": ["/usr/bin/systemctl"]`), 0, "it starts units that anybody can write"},
		{"the same by a command", rule("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/find"], "Extension": {"AllowCommands": ["find *"]}`), 0, "it runs whatever it is told"},
		{"everything", rule("p", "ALLOW", ``), 0, ""},
		{"an unknown user", strings.Replace(rule("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/id"]`), `["*"]`, `["nosuchuser"]`, 1), 0, `"nosuchuser", whom this machine does not know`},
		{"a group without %", strings.Replace(rule("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/id"]`), `["*"]`, `["adm"]`, 1), 0, `expected "%adm"`},
		{"no such program", rule("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/nosuchprogram"]`), 0, "which is not on this machine"},
		{"a link", rule("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/awk"]`), 1, `"/usr/bin/awk", a link to `},
		{"arguments in an application", rule("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/systemctl restart cups"]`), 1, "arguments go into Extension.AllowCommands"},
		{"a control that is not built", rule("p", "MFA", `, "ApplicationCheck": ["/usr/bin/id"]`), 1, "MFA, which nothing here verifies yet"},
		{"ALLOW with DENY", strings.Replace(rule("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/id"]`), `["ALLOW"]`, `["ALLOW", "DENY"]`, 1), 1, "DENY wins"},
		{"a command of another program", rule("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/id"], "Extension": {"AllowCommands": ["/usr/bin/whoami x"]}`), 1, "the entry is never met"},
		{"nobody", strings.Replace(rule("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/id"]`), `["*"]`, `[]`, 1), 1, "grants nothing: "},
		{"a wildcard over paths", rule("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/chown"], "Extension": {"AllowCommands": ["chown web /srv/web/*"]}`), 0, "expected {path:/srv/web/*}"},
		{"nothing at all", rule("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/id"]`), 0, "-"},
		{"the README's example", readmePolicy(t), 0, `"alice", whom this machine does not know`},
	} {
		path := filepath.Join(dir, "p.json")
		if err := os.WriteFile(path, []byte(tc.policy), 0o644); err != nil {
			t.Fatal(err)
		}
		out, status := lint(t, a, path)
		if status != tc.status || tc.says == "-" && out != "" || tc.says != "-" && !strings.Contains(out, tc.says) {
			t.Errorf("%s: exit status %d, expected %d with %q:\n%s", tc.what, status, tc.status, tc.says, out)
		}
	}
	// What the service will refuse.
	path := filepath.Join(dir, "p.json")
	if err := os.Chmod(path, 0o664); err != nil {
		t.Fatal(err)
	}
	if out, status := lint(t, a, path); status != 0 || !strings.Contains(out, "mode 0664") {
		t.Errorf("a file that others can write: exit status %d:\n%s", status, out)
	}
	inPlace := filepath.Join(a.Root, "Policies/mine.json")
	if err := errors.Join(os.WriteFile(inPlace, []byte(rule("p", "DENY", "")), 0o600), os.Chown(inPlace, 4242, 0)); err != nil {
		t.Fatal(err)
	}
	if out, status := lint(t, a, filepath.Join(a.Root, "Policies")); status != 1 || !strings.Contains(out, "the service refuses it as it is") {
		t.Errorf("a file in place that belongs to somebody: exit status %d:\n%s", status, out)
	}
}

// TestManyPolicyFiles: more files than anybody has are read, and after a restart
// as well.
func TestManyPolicyFiles(t *testing.T) {
	const files = 10_100
	a := newAgent(t, allowAll, func(a *agent.Agent) {
		for i := range files {
			path := filepath.Join(a.Root, fmt.Sprintf("Policies/synced/%05d.json", i))
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(rule(fmt.Sprint(i), "DENY", fmt.Sprintf(`, "ApplicationCheck": ["/opt/x/%d"]`, i))), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
	})
	for deadline := time.Now().Add(60 * time.Second); ; {
		out, status := sudo(t, a, "id")
		if status == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("nothing is allowed with %d policy files: %s\n%s", files, out, a.Log())
		}
	}
}

// TestAControlThatIsNotBuilt says so, at once and before anything else is asked.
func TestAControlThatIsNotBuilt(t *testing.T) {
	a := newAgent(t, rule("second-factor", "MFA", ""), nil)
	out, status := sudo(t, a, "id")
	if status != 1 || !strings.Contains(out, `policy "Policy second-factor" asks for MFA, which nothing on this machine can verify yet`) {
		t.Errorf("exit status %d: %s", status, out)
	}
}
