package admincli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kpm/core"
	"kpm/launcher/journal"
)

// policyText is a policy for a program and a user.
func policyText(id, control, user, program string) string {
	return `{"PolicyId": "` + id + `", "PolicyType": "PrivilegeElevation", "Actions": {"OnSuccess": {"Controls": ["` + control + `"]}},
  "UserCheck": ["` + user + `"], "MachineCheck": ["*"], "ApplicationCheck": ["` + program + `"]}`
}

// policyFile writes policies to a file of its own.
func policyFile(t *testing.T, name string, policies ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte("[\n"+strings.Join(policies, ",\n")+"\n]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func decode[T any](t *testing.T, text string) (v T) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	return v
}

func TestPolicyLint(t *testing.T) {
	good := policyFile(t, "good.json", policyText("a", "ALLOW", "*", "/usr/bin/id"))
	if out := tell(t, exitOK, "policy", "lint", good); out != "1 policies, and nothing to say about them\n" {
		t.Error(out)
	}
	if out := tell(t, exitOK, "policy", "lint", "--json", good); out != "[]\n" {
		t.Error(out)
	}
	bad := policyFile(t, "bad.json", policyText("a", "PERMIT", "*", "/usr/bin/id"))
	out := tell(t, exitFault, "policy", "lint", bad)
	if !strings.Contains(out, `grants nothing: `+bad+`:2: policy "a"`) || !strings.Contains(out, `found "PERMIT"`) || !strings.Contains(out, "^") {
		t.Error(out)
	}
	findings := decode[[]map[string]any](t, tell(t, exitFault, "policy", "lint", "--json", bad))
	if len(findings) != 1 || findings[0]["severity"] != "grants nothing" || findings[0]["line"] != 2.0 || findings[0]["policy"] != "a" {
		t.Error(findings)
	}
	code, _, _ := do(t, "policy", "lint", filepath.Join(t.TempDir(), "none.json"))
	if code != exitFault {
		t.Errorf("a file that is not there: %d", code)
	}
}

func TestPolicyListAndShow(t *testing.T) {
	agentic := `{"PolicyId": "x", "PolicyType": "AgenticAccess", "Controls": ["DENY"], "UserCheck": ["*"], "Tomorrow": {"a": [1]}}`
	file := policyFile(t, "p.json", policyText("a", "JUSTIFY", "alice", "/usr/bin/id"), agentic)
	out := tell(t, exitOK, "policy", "list", "--policies", file)
	if !strings.Contains(out, "AgenticAccess") || !strings.Contains(out, "JUSTIFY") || strings.Count(out, "\n") != 3 {
		t.Error(out)
	}
	list := decode[[]map[string]any](t, tell(t, exitOK, "policy", "list", "--json", "--policies", file))
	if len(list) != 2 || list[1]["policy"] != "x" || list[1]["known"] != false || list[1]["type"] != "AgenticAccess" || list[0]["known"] != true {
		t.Error(list)
	}
	if out := tell(t, exitOK, "policy", "show", "x", "--policies", file); !strings.Contains(out, agentic) || !strings.Contains(out, "Tomorrow: found an unknown key") {
		t.Error(out)
	}
	shown := decode[[]struct {
		Written  map[string]any
		Findings []any
	}](t, tell(t, exitOK, "policy", "show", "x", "--json", "--policies", file))
	if len(shown) != 1 || shown[0].Written["Tomorrow"] == nil || len(shown[0].Findings) == 0 {
		t.Error(shown)
	}
	if code, _, diag := do(t, "policy", "show", "nosuch", "--policies", file); code != exitUsage || !strings.Contains(diag, `there is no policy "nosuch"`) {
		t.Errorf("%d %s", code, diag)
	}
}

// Policies are those of the agent root, unless others are named.
func TestPoliciesOfTheAgentRoot(t *testing.T) {
	root := t.TempDir()
	for name, text := range map[string]string{
		"a.json": policyText("a", "ALLOW", "team", "/usr/bin/id"), "synced/b.json": policyText("b", "DENY", "*", "/usr/bin/env"),
		"collections.json": `{"team": {"Type": "user", "Values": ["nobody"]}}`,
	} {
		path := filepath.Join(root, "Policies", name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	list := decode[[]map[string]any](t, tell(t, exitOK, "policy", "list", "--json", "--root", root))
	if len(list) != 2 {
		t.Error(list)
	}
	if out := tell(t, exitOK, "policy", "explain", "--root", root, "--user", "nobody", "id"); !strings.Contains(out, "ALLOW, by a\n") {
		t.Error(out)
	}
}

func TestPolicyExplain(t *testing.T) {
	file := policyFile(t, "p.json", policyText("a", "JUSTIFY", "nobody", "/usr/bin/id"), policyText("b", "DENY", "daemon", "*"),
		strings.Replace(policyText("night", "DENY", "*", "/usr/bin/id"), `"UserCheck"`, `"TimeCheck": [{"StartTime": "22", "EndTime": "6"}], "UserCheck"`, 1))
	ask := func(args ...string) string {
		return tell(t, exitOK, append([]string{"policy", "explain", "--policies", file}, args...)...)
	}
	out := ask("--user", "nobody", "--at", "2026-11-18T12:00", "id", "-u", "--json")
	for _, want := range []string{
		"nobody asks to run /usr/bin/id as root on ", "PENDING: asks for JUSTIFY, by a\n", "met a (PrivilegeElevation, enforce, " + file + "): asks for JUSTIFY, and grants then\n",
		`  not met   UserCheck: wants daemon, found "nobody"`, "  not met   TimeCheck: wants 22:00:00 to 06:00:00, found 12:00:00\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if out := ask("--user", "nobody", "--at", "23:15", "id"); !strings.Contains(out, "DENY, by night\n") {
		t.Error(out)
	}
	if out := ask("--user", "daemon", "--target", "nobody", "--at", "2026-11-18T12:00", "id"); !strings.Contains(out, "as nobody on") || !strings.Contains(out, "DENY, by b\n") {
		t.Error(out)
	}
	if out := ask("--user", "root", "id"); !strings.Contains(out, "ALLOW\n") {
		t.Error(out)
	}
	if out := ask("--user", "root", "--enforce-for-administrators", "--at", "2026-11-18T12:00", "id"); !strings.Contains(out, "DENY\n") {
		t.Error(out)
	}
	x := decode[explained](t, ask("--json", "--user", "nobody", "--at", "2026-11-18T12:00:00Z", "id"))
	if x.Question.UserName != "nobody" || x.Question.FilePath != "/usr/bin/id" || len(x.Question.FileHash) != 64 || len(x.Policies) != 3 || !x.At.Equal(time.Date(2026, 11, 18, 12, 0, 0, 0, time.UTC)) {
		t.Errorf("%+v", x)
	}
	for _, line := range [][]string{{"--user", "nosuchuser", "id"}, {"--user", "nobody", "nosuchprogram"}, {"--user", "nobody", "--at", "noon", "id"}, {"--user", "nobody", "--target", "nosuchuser", "id"}, {}} {
		if code, out, diag := do(t, append([]string{"policy", "explain", "--policies", file}, line...)...); code != exitUsage || out != "" || diag == "" {
			t.Errorf("%q: %d %q %q", line, code, out, diag)
		}
	}
}

// What policies say of children, of the account and of approvers is explained as well.
func TestPolicyExplainsWhatFollows(t *testing.T) {
	text := strings.TrimSuffix(policyText("p", "APPROVAL", "nobody", "/usr/bin/id"), "}") + `, "approvers": {"users": ["daemon"]}, "Extension": {"ChildProcesses": "own-rule", "EphemeralAccount": true,
		"AutomaticApproval": {"TimeZone": "UTC", "TimeCheck": [{"StartTime": "9", "EndTime": "17"}]}}}`
	files := policyFile(t, "p.json", text, strings.ReplaceAll(policyText("f", "JUSTIFY", "*", "/usr/bin/id"), "PrivilegeElevation", "FileAccess"))
	explain := func(args ...string) string {
		return tell(t, exitOK, append([]string{"policy", "explain", "--policies", files, "--user", "nobody"}, args...)...)
	}
	out := explain("--at", "2026-03-30T10:00:00Z", "/usr/bin/id")
	for _, want := range []string{"approved by: 1 of daemon, administrators; until 2026-03-30", "by schedule: 09:00:00 to 17:00:00 in UTC (policy p)", "may start only what policies allow by themselves (own-rule)", "runs as an account that is made for it"} {
		if !strings.Contains(out, want) {
			t.Errorf("%s\nlacks %q", out, want)
		}
	}
	closed := decode[explained](t, explain("--at", "2026-03-30T08:59:00Z", "--json", "/usr/bin/id"))
	if d := closed.Decision; d.Children != "own-rule" || d.Account == nil || len(d.Approvals) != 1 || d.Approvals[0].Automatic != nil || closed.Execution.Outcome != "ALLOW" {
		t.Errorf("%+v", closed)
	}
	// Who has no policy about elevation is asked by the one about execution alone.
	other := tell(t, exitOK, "policy", "explain", "--policies", files, "--user", "daemon", "/usr/bin/id")
	if !strings.Contains(other, "\nDENY\n") || !strings.Contains(other, "started without keepersudo, where programs are stopped before they run: PENDING: asks for JUSTIFY, by f") || strings.Contains(other, "may start") {
		t.Error(other)
	}
}

func TestPolicyTest(t *testing.T) {
	file := policyFile(t, "p.json", policyText("a", "ALLOW", "alice", "/usr/bin/id"))
	cases := filepath.Join(filepath.Dir(file), "c.json")
	put := func(text string) {
		t.Helper()
		if err := os.WriteFile(cases, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	put(`{"Policies": ["p.json"], "Files": {"/usr/bin/id": "/usr/bin/id"}, "Defaults": {"Command": ["id"]},
		"Cases": [{"User": "alice", "Expect": "ALLOW", "By": ["a"]}, {"Name": "bob", "User": "bob", "Expect": "ALLOW"}]}`)
	out := tell(t, exitFault, "policy", "test", cases)
	if !strings.Contains(out, "case 2, bob: expected ALLOW; found DENY\n") || !strings.Contains(out, "UserCheck wants alice") || !strings.HasSuffix(out, "2 cases, 1 failed\n") {
		t.Error(out)
	}
	results := decode[[]caseResult](t, tell(t, exitFault, "policy", "test", "--json", cases))
	if len(results) != 2 || !results[0].Passed || results[1].Passed {
		t.Errorf("%+v", results)
	}
	for text, says := range map[string]string{
		`{}`:              "has no Cases",
		`[]`:              "is no file of cases",
		`{"Case": []}`:    `unknown field "Case"`,
		`{"Cases": [{}]}`: "names no Policies",
		`{"Policies": ["none.json"], "Cases": [{}]}`:                                                               "none.json",
		`{"Policies": ["p.json"], "Cases": [{"User": "root", "Command": ["id"], "Expect": "YES"}]}`:                `Expect is "YES"`,
		`{"Policies": ["p.json"], "Cases": [{"User": "root", "Command": ["id"], "Expect": "DENY", "At": "noon"}]}`: "expected a time",
		`{"Policies": ["p.json"], "Cases": [{"User": "root", "Expect": "DENY"}]}`:                                  "CMD: found none",
		`{"Policies": ["p.json"], "Cases": [{}]} {}`:                                                               "something behind",
	} {
		put(text)
		if code, _, diag := do(t, "policy", "test", cases); code != exitUsage || !strings.Contains(diag, says) {
			t.Errorf("%s: %d %q, want %q", text, code, diag, says)
		}
	}
}

// Whoever replays learns whose past requests a new set would change, and how.
func TestPolicyReplay(t *testing.T) {
	root := t.TempDir()
	j := open(t, root)
	request := func(id core.RequestID, user, uid, program string, outcome journal.Record, argv ...string) {
		t.Helper()
		outcome.Request = id
		for _, r := range []journal.Record{{Type: journal.Opened, Request: id, User: user, UserID: core.UserID(uid), Target: "root", TargetID: "0",
			Program: &core.Executable{Path: program, Requested: program}, Argv: argv, Directory: "/"}, outcome} {
			if err := j.Append(r); err != nil {
				t.Fatal(err)
			}
		}
	}
	allowed, denied := journal.Record{Type: journal.Allowed, By: "KeeperPolicy"}, journal.Record{Type: journal.Denied, By: "KeeperPolicy"}
	request("R1", "nobody", "65534", "/usr/bin/id", allowed, "id")
	request("R2", "nobody", "65534", "/usr/bin/env", denied, "env")
	request("R3", "daemon", "1", "/usr/bin/id", journal.Record{Type: journal.Pending, By: "KeeperPolicy", Controls: []core.Control{core.ControlJustify}}, "id")
	request("R4", "gone", "4999", "/usr/bin/id", allowed, "id")
	request("R5", "nobody", "65534", "/usr/bin/id", journal.Record{Type: journal.Denied, By: "KeeperPrivilegeManager"}, "id") // by the service itself
	request("R6", "nobody", "65534", "/usr/bin/id", journal.Record{Type: journal.Failed}, "id")
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	same := policyFile(t, "same.json", policyText("a", "ALLOW", "nobody", "/usr/bin/id"), policyText("g", "ALLOW", "gone", "/usr/bin/id"), policyText("d", "JUSTIFY", "daemon", "/usr/bin/id"))
	if out := tell(t, exitOK, "policy", "replay", "--root", root, same); out != "4 requests, 0 would change\n" {
		t.Error(out)
	}
	other := policyFile(t, "other.json", policyText("a", "JUSTIFY", "nobody", "/usr/bin/*"), policyText("d", "JUSTIFY", "daemon", "/usr/bin/id"))
	out := tell(t, exitFault, "policy", "replay", "--root", root, other)
	for _, want := range []string{" R1 nobody as root: id\n  was ALLOW; would be PENDING: asks for JUSTIFY, by a\n", "  was DENY; would be PENDING: asks for JUSTIFY, by a\n",
		" R4 gone as root: id\n  was ALLOW; would be DENY\n", "nobody: 2 would change\ngone: 1 would change\n4 requests, 3 would change\n"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	r := decode[replayed](t, tell(t, exitFault, "policy", "replay", "--json", "--root", root, other))
	if r.Requests != 4 || len(r.Changed) != 3 || r.People["nobody"] != 2 {
		t.Errorf("%+v", r)
	}
}

func TestPolicyApply(t *testing.T) {
	root := t.TempDir()
	if err := os.Chmod(root, 0o755); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(root, "Policies", "p.json")
	file := policyFile(t, "p.json", policyText("a", "ALLOW", "*", "/usr/bin/id"))
	apply := func(want int, args ...string) string {
		t.Helper()
		return tell(t, want, append([]string{"policy", "apply", "--root", root}, args...)...)
	}
	if out := apply(exitOK, "--dry-run", file); !strings.Contains(out, target+": would be added\n  + a (enforce, ALLOW)\n") || exists(target) {
		t.Error(out)
	}
	if out := apply(exitOK, file); !strings.Contains(out, target+": added\n") {
		t.Error(out)
	}
	if out := apply(exitOK, file); out != target+": the same already\n" {
		t.Error(out)
	}
	second := policyFile(t, "p.json", policyText("b", "DENY", "*", "/usr/bin/id"))
	plan := decode[applied](t, apply(exitOK, "--dry-run", "--json", second))
	if !plan.DryRun || len(plan.Files) != 1 || plan.Files[0].Action != "replace" || plan.Files[0].Before[0].ID != "a" || plan.Files[0].Policies[0].ID != "b" {
		t.Errorf("%+v", plan)
	}
	if out := apply(exitOK, second); !strings.Contains(out, ": replaced\n  - a (enforce, ALLOW)\n  + b (enforce, DENY)\n") {
		t.Error(out)
	}
	// What changes is told from what stays, however it is written.
	third := policyFile(t, "p.json", strings.Replace(policyText("b", "DENY", "*", "/usr/bin/id"), ":", ":  ", 1), policyText("c", "ALLOW", "*", "/usr/bin/id"))
	if out := apply(exitOK, "--force", third); !strings.Contains(out, ": replaced\n  = b (enforce, DENY)\n  + c (enforce, ALLOW)\n") {
		t.Error(out)
	}
	fourth := policyFile(t, "p.json", policyText("b", "ALLOW", "#0", "/usr/bin/id"))
	if out := apply(exitOK, "--dry-run", fourth); !strings.Contains(out, "  - c (enforce, ALLOW)\n  ~ b (enforce, ALLOW), before enforce, DENY; other in Actions, UserCheck\n") {
		t.Error(out)
	}
	// One that is wrong keeps all of them out.
	wrong := policyFile(t, "wrong.json", policyText("w", "PERMIT", "*", "/usr/bin/id"))
	if out := apply(exitFault, file, wrong); !strings.Contains(out, "nothing was written") || exists(filepath.Join(root, "Policies", "wrong.json")) {
		t.Error(out)
	}
	apply(exitOK, "--force", wrong)
	broken := filepath.Join(t.TempDir(), "broken.json")
	if err := os.WriteFile(broken, []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	apply(exitFault, "--force", broken)
	if entries, err := os.ReadDir(filepath.Join(root, "Policies")); err != nil || len(entries) != 2 {
		t.Errorf("%v %v", entries, err)
	}
	info, err := os.Stat(target)
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v %v", info, err)
	}
	if code, _, diag := do(t, "policy", "apply", "--root", root, "notes.txt"); code != exitUsage || !strings.Contains(diag, "ends in .json") {
		t.Errorf("%d %s", code, diag)
	}
}

// What is written is a policy that lint has nothing against, and that decides.
func TestPolicyNew(t *testing.T) {
	for _, line := range [][]string{
		{"--user", "nobody", "--application", "/usr/bin/id", "--status", "enforce", "--control", "JUSTIFY"},
		{"--user", "nobody", "--command", "id", "--status", "enforce", "--control", "JUSTIFY", "--name", "Who am I"},
	} {
		code, out, diag := do(t, append([]string{"policy", "new", "who"}, line...)...)
		if code != exitOK || diag != "" {
			t.Errorf("%q: %d %s", line, code, diag)
		}
		file := policyFile(t, "n.json", out)
		tell(t, exitOK, "policy", "lint", file)
		if out := tell(t, exitOK, "policy", "explain", "--policies", file, "--user", "nobody", "id"); !strings.Contains(out, "PENDING: asks for JUSTIFY, by who\n") {
			t.Error(out)
		}
	}
	if code, out, diag := do(t, "policy", "new", "x", "--user", "*"); code != exitUsage || out != "" || !strings.Contains(diag, "grants nothing") {
		t.Errorf("%d %s %s", code, out, diag)
	}
	if code, _, diag := do(t, "policy", "new", "x", "--user", "*", "--application", "less"); code != exitOK || !strings.Contains(diag, "it opens a shell from within") {
		t.Errorf("%d %s", code, diag)
	}
}
