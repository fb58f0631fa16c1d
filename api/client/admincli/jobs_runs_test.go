package admincli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kpm/core/view"
	"kpm/jobs"
	"kpm/platform"
	"kpm/settings"
)

const oneRun = "AAAAAAAAAAAAAAAAAAAAAAAAAA"

// What people see of jobs and runs. Output of programs moves no cursor.
func TestJobsAndRunsForPeople(t *testing.T) {
	for _, c := range []struct {
		line string
		exit int
		want []string // parts of what is printed
	}{
		{"jobs show cleanup", exitOK, []string{`"id":"cleanup"`, `"definition":{`}},
		{"jobs show nobody", exitUsage, []string{"there is none"}},
		{"jobs reload", exitOK, []string{`{"changed":["cleanup"]}`}},
		{"jobs runs", exitOK, []string{"RUN", oneRun + "  cleanup  failed  event Startup  2026-01-02 03:04:05  1.5s  task a: it exited with status 3", "There are more: --before 7"}},
		{"jobs runs " + oneRun, exitOK, []string{"reason      task a", `began with  {"Who":"\u202eann"}`, "  1 a: failed after 2 tries in 1s: it exited with status 3\n    one\n    \uFFFD[2Jtwo\n    stderr: no\n"}},
		{"jobs runs " + oneRun + " --json", exitOK, []string{`"taskId":"a"`}},
		{"jobs runs --since yesterday", exitUsage, []string{`--since is "yesterday", expected a time like`}},
		{"jobs tail " + oneRun, exitFault, []string{"  1 a: failed after 2 tries", "run " + oneRun + " of cleanup: failed: task a: it exited with status 3\n"}},
		{"jobs tail " + oneRun + " --json", exitFault, []string{`{"kind":"task"`, `{"kind":"run"`}},
		{"jobs tail BBBB", exitUsage, []string{"refused (unknown-run)"}},
		{"jobs cancel " + oneRun, exitOK, []string{`{"runId":"` + oneRun + `"}`}},
		{"jobs cancel BBBB", exitUsage, []string{"refused (unknown-run)"}},
		{"jobs run cleanup --follow", exitOK, []string{"  1 a: succeeded after 2 tries in 1s\n", "of cleanup: succeeded"}},
		{"jobs explain cleanup --event Swept --param Depth=3 --param Who=ann", exitOK, []string{"cleanup would not run\n", `  asked about Swept with {"Depth":3,"Who":"ann"}`, "Its last runs for that event:\nRUN"}},
		{"jobs explain cleanup --param Depth=3", exitOK, []string{"Its last runs:\nRUN"}},
		{"jobs explain cleanup --json", exitOK, []string{`{"id":"cleanup","runs":false`}},
		{"jobs graph cleanup", exitOK, []string{"digraph jobs {", `"schedule {\"intervalMinutes\":5}" -> "job cleanup";`, `"job cleanup" -> "job broken" [label="condition not met", style=dashed];`,
			`"task cleanup/a" -> "task cleanup/c" [label="failed", style=dotted];`, `"task cleanup/b" -> "event Swept \"all\"" [style=dashed];`}},
		{"jobs graph cleanup --json", exitOK, []string{`{"nodes":[{"node":"job cleanup","enabled":`, `{"from":"job cleanup","to":"job broken","when":"condition not met"}`,
			`{"from":"task cleanup/a","to":"task cleanup/c","when":"failed"}`, `{"from":"task cleanup/b","to":"event Swept \"all\"","when":"published"}`}},
		{"jobs new sweep --json", exitOK, []string{`"id": "sweep"`}},
	} {
		code, out, diag := newRunning(t).do(t, strings.Fields(c.line)...)
		if code != c.exit {
			t.Errorf("%s: %d %q %q", c.line, code, out, diag)
		}
		for _, part := range c.want {
			if !strings.Contains(out+diag, part) {
				t.Errorf("%s: %q is not in\n%s%s", c.line, part, out, diag)
			}
		}
	}
}

// Flags become the question that the history is asked.
func TestTheHistoryIsAskedForWhatFlagsSay(t *testing.T) {
	r := newRunning(t)
	line := "jobs runs cleanup --state failed --trigger event --event Startup --since 2026-01-02T03:04:05Z --before 9 -n 5"
	if code, _, diag := r.do(t, strings.Fields(line)...); code != exitOK {
		t.Fatal(diag)
	}
	want := view.JobRunFilter{JobID: "cleanup", State: "failed", Kind: "event", Event: "Startup", Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Limit: 5, Before: "9"}
	if r.filters[0] != want {
		t.Errorf("asked %+v", r.filters[0])
	}
}

// A parameter is JSON if it can be read as such.
func TestParameters(t *testing.T) {
	for _, c := range []struct {
		params []string
		ran    string
	}{
		{[]string{"Depth=3", "Deep=true", `List=["a"]`, "Who=ann lee", "Empty=", "Eq=a=b", `Quoted="3"`}, `cleanup {"Deep":true,"Depth":3,"Empty":"","Eq":"a=b","List":["a"],"Quoted":"3","Who":"ann lee"}`},
		{nil, "cleanup {}"},
	} {
		r := newRunning(t)
		line := []string{"jobs", "run", "cleanup"}
		for _, p := range c.params {
			line = append(line, "--param", p)
		}
		if code, _, diag := r.do(t, line...); code != exitOK || r.ran[0] != c.ran {
			t.Errorf("%q: %d %q %q", c.params, code, diag, r.ran)
		}
	}
	r := newRunning(t)
	for line, says := range map[string]string{
		"jobs run cleanup --param Depth":                     `--param is "Depth", expected NAME=VALUE`,
		"jobs run cleanup --param a=1 --param a=2":           "--param a is given twice",
		`jobs trigger cleanup --context {"a":1} --param a=2`: "--param a is given twice",
		`jobs new a_b`:                  `ID is "a_b", expected 1 to 64 letters`,
		`jobs new a --every 5 --cron *`: "not both",
	} {
		if code, out, diag := r.do(t, strings.Fields(line)...); code != exitUsage || out != "" || !strings.Contains(diag, says) {
			t.Errorf("%s: %d %q %q", line, code, out, diag)
		}
	}
	if r.ran != nil {
		t.Errorf("ran %q", r.ran)
	}
}

// jobChecker is the loader's own.
func jobChecker(layout settings.Layout) (JobChecker, error) {
	host := platform.Tools(layout.Root())
	return jobs.NewChecker(jobs.CheckerConfig{Layout: layout, Platform: host.Facts.Platform, Read: host.Files.ReadProtected})
}

// A job file is checked by the loader itself, without a service: every fault with its
// line, and its name has to be its id. What is installed in the root counts.
func TestValidate(t *testing.T) {
	root, dir := t.TempDir(), t.TempDir()
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write(filepath.Join(root, "Jobs", "other-way.json"), `{"id": "other-way", "tasks": [{"id": "a", "command": "echo"}]}`)
	write(filepath.Join(root, "Plugins", "MyBridge.json"), `{}`)
	const tasks = `"tasks": [{"id": "a", "command": "echo"}]`
	for name, c := range map[string]struct {
		text string
		exit int
		want string
	}{
		"good.json":     {`{"id": "good", ` + tasks + `}`, exitOK, "good.json: job good can be used\n"},
		"absent.json":   {`{"id": "absent", "tasks": [{"id": "a", "command": "not-there"}]}`, exitOK, "absent.json: warning: tasks[0].command: there is no program not-there: install it as " + root},
		"other.json":    {`{"id": "good", ` + tasks + `}`, exitFault, `other.json:1: id is "good", expected the file's name without .json, "other"`},
		"bad.json":      {"{\n\"id\": \"bad\",\n\"tasks\": [{\"id\": \"a\u202e\", \"command\": \"../x\"}]}", exitFault, "bad.json:3: tasks[0].command is \"../x\", expected the bare name of a program"},
		"large.json":    {strings.Repeat(" ", maxJobFile+1), exitFault, "longer than"},
		"way.json":      {`{"id": "way", "condition": "has('a')", "alternateJobId": "other-way", ` + tasks + `}`, exitOK, "can be used"},
		"no-way.json":   {`{"id": "no-way", "condition": "has('a')", "alternateJobId": "nowhere", ` + tasks + `}`, exitFault, `no-way.json:1: alternateJobId is "nowhere", expected a job that there is`},
		"MyBridge.json": {`{"id": "MyBridge", ` + tasks + `}`, exitFault, "expected a name that no plugin has"},
		"text.json":     {"hello", exitFault, "text.json:1: "},
	} {
		path := filepath.Join(dir, name)
		write(path, c.text)
		code, out, diag := do(t, "jobs", "validate", path, "--root", root)
		if code != c.exit || !strings.Contains(out, c.want) || diag != "" {
			t.Errorf("%s: %d %q %q", name, code, out, diag)
		}
	}
	// Where no agent is installed, nothing is.
	if code, out, diag := do(t, "jobs", "validate", filepath.Join(dir, "good.json"), "--root", filepath.Join(root, "nowhere")); code != exitOK || diag != "" {
		t.Errorf("without an agent: %d %q %q", code, out, diag)
	}
}

// At a port, the running service is what checks.
func TestValidateByTheService(t *testing.T) {
	r := newRunning(t)
	for name, c := range map[string]struct {
		text string
		exit int
		want string
	}{
		"good.json":  {`{"id": "good"}`, exitOK, "good.json: warning: there is no program x\uFFFD\n"},
		"other.json": {`{"id": "good"}`, exitFault, `other.json: id is "good", expected the file's name without .json, "other"`},
		"bad.json":   {`{}`, exitFault, "bad.json: /tasks/0/command: missing\uFFFD, expected a name\n"},
	} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		code, out, diag := r.do(t, "jobs", "validate", path, "--port", r.port)
		if code != c.exit || !strings.Contains(out, c.want) || diag != "" {
			t.Errorf("%s: %d %q %q", name, code, out, diag)
		}
	}
}

// What new prints is a job, with what it was asked for.
func TestNew(t *testing.T) {
	for line, want := range map[string]string{
		"jobs new my-tool":                             "",
		"jobs new my-tool --every 60":                  `"intervalMinutes": 60`,
		"jobs new my-tool --event Startup":             `"eventType": "Startup"`,
		"jobs new my-tool --event Done --command tool": `"customEvent": "Done"`,
	} {
		out := tell(t, exitOK, strings.Fields(line)...)
		var job struct {
			ID    string
			Tasks []struct{ Command string }
		}
		if err := json.Unmarshal([]byte(out), &job); err != nil || job.ID != "my-tool" || len(job.Tasks) != 1 || !strings.Contains(out, want) {
			t.Errorf("%s: %v\n%s", line, err, out)
		}
	}
}
