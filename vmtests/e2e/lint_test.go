//go:build linux

package e2e

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

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
		if out, status := sudoed(t, a, append([]string{"-n"}, command...)...); status != 1 || !strings.Contains(out, "No policy allows this command for you") {
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
	if out, _ := linted(t, a, path); !strings.Contains(out, "it starts units that anybody can write") {
		t.Errorf("lint of the example without its commands says\n%s", out)
	}
	// What it is for needs a reason, which -n refuses to ask for.
	if out, _ := sudoed(t, a, "-n", "systemctl", "restart", "cups"); strings.Contains(out, "No policy") {
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
		{"systemctl with any arguments", policyOf("p", "JUSTIFY", `, "ApplicationCheck": ["/usr/bin/systemctl"]`), 0, "it starts units that anybody can write"},
		{"the same by a command", policyOf("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/find"], "Extension": {"AllowCommands": ["find *"]}`), 0, "it runs whatever it is told"},
		{"everything", policyOf("p", "ALLOW", ``), 0, ""},
		{"an unknown user", strings.Replace(policyOf("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/id"]`), `["*"]`, `["nosuchuser"]`, 1), 0, `"nosuchuser", whom this machine does not know`},
		{"a group without %", strings.Replace(policyOf("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/id"]`), `["*"]`, `["adm"]`, 1), 0, `expected "%adm"`},
		{"no such program", policyOf("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/nosuchprogram"]`), 0, "which is not on this machine"},
		{"a link", policyOf("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/awk"]`), 1, `"/usr/bin/awk", a link to `},
		{"arguments in an application", policyOf("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/systemctl restart cups"]`), 1, "arguments go into Extension.AllowCommands"},
		{"ALLOW with DENY", strings.Replace(policyOf("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/id"]`), `["ALLOW"]`, `["ALLOW", "DENY"]`, 1), 1, "DENY wins"},
		{"a command of another program", policyOf("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/id"], "Extension": {"AllowCommands": ["/usr/bin/whoami x"]}`), 1, "the entry is never met"},
		{"nobody", strings.Replace(policyOf("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/id"]`), `["*"]`, `[]`, 1), 1, "grants nothing: "},
		{"a wildcard over paths", policyOf("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/chown"], "Extension": {"AllowCommands": ["chown web /srv/web/*"]}`), 0, "expected {path:/srv/web/*}"},
		{"a wildcard that is not the last argument", policyOf("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/systemctl"], "Extension": {"AllowCommands": ["systemctl * cups"]}`), 1, `expected "*" as the last word alone`},
		{"a time without a unit", justified("p", "id", `{"For": 30}`), 1, `expected a duration with a unit, such as "30m"`},
		{"no time", justified("p", "id", `{"For": "0"}`), 1, `it is a number without a unit: write "30m"`},
		{"no time, with a unit", justified("p", "id", `{"For": "0m"}`), 1, "it is no time at all: to allow nothing for a time, leave it out"},
		{"an approval that no hour ends", policyOf("p", "APPROVAL", `, "ApplicationCheck": ["/usr/bin/id"], "Extension": {"AutomaticApproval": {"TimeZone": "Europe/Berlin", "TimeCheck": ["*"]}}`), 1, "$.Extension.AutomaticApproval"},
		// Others of the same kinds.
		{"every elevated command", policyOf("p", "JUSTIFY", `, "ApplicationCheck": []`), 0, "every program with any arguments"},
		{"programs by a pattern", policyOf("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/system*"]`), 0, `programs such as "systemctl" with any arguments`},
		{"programs by a pattern of names", policyOf("p", "ALLOW", `, "ApplicationCheck": ["vi*"]`), 0, `it opens a shell from within`},
		{"a whole folder", policyOf("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/*"]`), 0, "programs such as "},
		{"a program with its version", policyOf("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/python3.11"]`), 0, `"python3.11" with any arguments`},
		{"a shell by its option", policyOf("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/bash"], "Extension": {"AllowCommands": ["bash -i"]}`), 0, "it reads what to do from whoever asks"},
		{"a shell by another program", policyOf("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/env"], "Extension": {"AllowCommands": ["env bash"]}`), 0, "it runs whatever it is told"},
		{"a script of somebody's own", policyOf("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/bash"], "Extension": {"AllowCommands": ["bash /home/web/deploy.sh"]}`), 0, "a script that users can write"},
		{"a script of the working directory", policyOf("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/bash"], "Extension": {"AllowCommands": ["bash deploy.sh"]}`), 0, "a script that users can write"},
		{"a script of root's", policyOf("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/bash"], "Extension": {"AllowCommands": ["bash /opt/web/deploy.sh", "bash -c id"]}`), 0, "-"},
		{"an unknown uid", strings.Replace(policyOf("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/id"]`), `["*"]`, `["#424242"]`, 1), 0, `"#424242", whom this machine does not know`},
		{"an unknown gid", strings.Replace(policyOf("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/id"]`), `["*"]`, `["%#424242"]`, 1), 0, `"%#424242", whom this machine does not know`},
		{"arguments with a wildcard in an application", policyOf("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/systemctl restart *"]`), 1, "arguments go into Extension.AllowCommands"},
		{"arguments of a program that is not there", policyOf("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/nosuchprogram -x"]`), 0, "arguments go into Extension.AllowCommands"},
		{"a command that no pattern of programs meets", policyOf("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/i*"], "Extension": {"AllowCommands": ["whoami x"]}`), 1, "the entry is never met"},
		{"a command that one does", policyOf("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/i*"], "Extension": {"AllowCommands": ["id -u"]}`), 0, "-"},
		{"a wildcard behind a variable", policyOf("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/cat"], "Extension": {"AllowCommands": ["cat {var}/log/*"]}`), 0, "expected {path:{var}/log/*}"},
		{"a wildcard over the working directory", policyOf("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/cat"], "Extension": {"AllowCommands": ["cat ./*"]}`), 0, "expected {path:/folder/*} with an absolute path"},
		{"controls that count for nothing", policyOf("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/id"], "OnSuccess": {"Controls": ["DENY"]}`), 0, "here it counts for nothing"},
		{"the same controls twice", policyOf("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/id"], "OnSuccess": {"Controls": ["ALLOW"]}`), 0, "-"},
		{"a unit of somebody's own", policyOf("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/systemctl"], "Extension": {"AllowCommands": ["systemctl link /home/web/web.service"]}`), 0, "with a file that users can write"},
		{"a wildcard that begins an argument", policyOf("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/cat"], "Extension": {"AllowCommands": ["cat *.log"]}`), 0, "a wildcard that meets whole paths"},
		{"an approver whom nobody knows", policyOf("p", "APPROVAL", `, "ApplicationCheck": ["/usr/bin/id"], "approvers": {"users": ["nosuchuser"]}`), 0, `"nosuchuser", whom this machine does not know`},
		{"a team whom nobody knows", policyOf("p", "APPROVAL", `, "ApplicationCheck": ["/usr/bin/id"], "approvers": {"teams": ["nosuchteam"]}`), 0, `"nosuchteam", whom this machine does not know`},
		{"approvers by a group without %", policyOf("p", "APPROVAL", `, "ApplicationCheck": ["/usr/bin/id"], "approvers": {"users": ["adm"]}`), 0, `expected "%adm", or teams`},
		{"nothing at all", policyOf("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/id"]`), 0, "-"},
		{"the README's example", strings.Replace(readmePolicy(t), `"alice"`, `"nosuchuser"`, 1), 0, `"nosuchuser", whom this machine does not know`},
	} {
		path := filepath.Join(dir, "p.json")
		if err := os.WriteFile(path, []byte(tc.policy), 0o644); err != nil {
			t.Fatal(err)
		}
		out, status := linted(t, a, path)
		if status != tc.status || tc.says == "-" && out != "" || tc.says != "-" && !strings.Contains(out, tc.says) {
			t.Errorf("%s: exit status %d, expected %d with %q:\n%s", tc.what, status, tc.status, tc.says, out)
		}
	}
	// Whom a policy of this machine's own names there has to be: where it lies, and not
	// where it was written.
	for name, says := range map[string]string{"nosuchuser": `"nosuchuser", whom this machine does not know`, "%nosuchgroup": `"%nosuchgroup", whom this machine does not know`} {
		text := strings.Replace(policyOf("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/id"]`), `["*"]`, `["root", "`+name+`"]`, 1)
		own := filepath.Join(a.Root, "Policies", "named.json")
		if err := errors.Join(os.WriteFile(filepath.Join(dir, "p.json"), []byte(text), 0o644), os.WriteFile(own, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
		if out, status := linted(t, a, filepath.Join(dir, "p.json")); status != 0 || !strings.Contains(out, `note: `) {
			t.Errorf("%s, in a file for any machine: exit status %d:\n%s", name, status, out)
		}
		if out, status := linted(t, a, own); status != 1 || strings.Count(out, says) != 1 || strings.Contains(out, "note: ") {
			t.Errorf("%s, in a file for this machine: exit status %d:\n%s", name, status, out)
		}
		if err := os.Remove(own); err != nil {
			t.Fatal(err)
		}
	}
	// Signers are nobody's as long as the settings trust nobody.
	signed := policyOf("p", "ALLOW", `, "ApplicationCheck": ["/usr/bin/id"], "CertificationCheck": ["*"]`)
	own := filepath.Join(a.Root, "Policies", "signed.json")
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "p.json"), []byte(signed), 0o644), os.WriteFile(own, []byte(signed), 0o644)); err != nil {
		t.Fatal(err)
	}
	for file, status := range map[string]int{filepath.Join(dir, "p.json"): 0, own: 1} {
		if out, got := linted(t, a, file); got != status || !strings.Contains(out, "signers, and this machine trusts none") {
			t.Errorf("signers, in %s: exit status %d, expected %d:\n%s", file, got, status, out)
		}
	}
	if err := os.Remove(own); err != nil {
		t.Fatal(err)
	}
	// What the service will refuse.
	path := filepath.Join(dir, "p.json")
	if err := os.Chmod(path, 0o664); err != nil {
		t.Fatal(err)
	}
	if out, status := linted(t, a, path); status != 0 || !strings.Contains(out, "mode 0664") {
		t.Errorf("a file that others can write: exit status %d:\n%s", status, out)
	}
	inPlace := filepath.Join(a.Root, "Policies/mine.json")
	if err := errors.Join(os.WriteFile(inPlace, []byte(policyOf("p", "DENY", "")), 0o600), os.Chown(inPlace, 4242, 0)); err != nil {
		t.Fatal(err)
	}
	if out, status := linted(t, a, filepath.Join(a.Root, "Policies")); status != 1 || !strings.Contains(out, "the service refuses it as it is") {
		t.Errorf("a file in place that belongs to somebody: exit status %d:\n%s", status, out)
	}
}
