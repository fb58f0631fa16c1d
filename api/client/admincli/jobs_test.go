package admincli

import (
	"strings"
	"testing"
	"time"

	"kpm/core/view"
)

// Names go into the path of a request. None of them asks for anything else than
// a job, a plugin or a setting of that name.
func TestNamesAskForNothingElse(t *testing.T) {
	r := newRunning(t)
	for _, name := range []string{".", "..", "../system/status", "a b", "a?b=c", "a#b", "a%2fb", "ü", "x\r\ny", "cleanup/"} {
		for what, line := range map[string][]string{
			"there is no job":                       {"jobs", "run", "--id", name},
			"refused (unknown-job)":                 {"jobs", "trigger", "--id", name},
			"there is no plugin":                    {"settings", "get", name},
			"refused (unknown-plugin)":              {"settings", "get", "--json", name, "broker.port"},
			"KeeperPrivilegeManager has no setting": {"settings", "get", "KeeperPrivilegeManager", name},
		} {
			code, out, diag := r.do(t, line...)
			if code != exitUsage || out != "" || !strings.Contains(diag, what) {
				t.Errorf("%q: %d %q %q, want %q", line, code, out, diag, what)
			}
		}
	}
	if r.ran != nil {
		t.Errorf("ran %v", r.ran)
	}
}

// The empty name is a variable that a script did not set.
func TestEmptyNames(t *testing.T) {
	r := newRunning(t)
	for _, c := range []struct {
		line []string
		says string
	}{
		{[]string{"jobs", "run", "--id", ""}, "ID is empty, expected a job's id: jobs list shows them"},
		{[]string{"jobs", "trigger", "--id="}, "ID is empty, expected a job's id: jobs list shows them"},
		{[]string{"jobs", "run", ""}, "ID is empty, expected a job's id: jobs list shows them"},
		{[]string{"jobs", "trigger"}, "which job? KeeperAdminCLI jobs trigger ID; jobs list shows them"},
		{[]string{"jobs", "run", "a", "b"}, `["a" "b"]: expected one job's id, and once`},
		{[]string{"jobs", "run", "a", "--id", "a"}, `["a"]: expected one job's id, and once`},
		{[]string{"jobs", "trigger", "--id", "cleanup", "--context", ""}, `--context is "", expected a JSON object`},
		{[]string{"settings", "get", ""}, "PLUGIN is empty, expected a name"},
		{[]string{"settings", "get", "KeeperPrivilegeManager", ""}, "KEY is empty, expected a name"},
		{[]string{"settings", "get", "a", "b", "c"}, "accepts between 1 and 2 arg(s), received 3"},
		{[]string{"audit", "verify", "--key", ""}, "--key is empty, expected a file"},
		{[]string{"trust", "enroll", "--csr", ""}, "--csr is empty, expected a file"},
		{[]string{"trust", "enroll", "--attestation", "", "--nonce", "00"}, "--attestation is empty, expected a file"},
		{[]string{"trust", "enroll", "--activate="}, "--activate is empty, expected a file"},
		{[]string{"trust", "enroll", "--certificate="}, "--certificate is empty, expected a file"},
	} {
		code, out, diag := r.do(t, c.line...)
		if code != exitUsage || out != "" || diag != "KeeperAdminCLI: "+c.says+"\n" {
			t.Errorf("%q: %d %q %q", c.line, code, out, diag)
		}
	}
	if r.ran != nil {
		t.Errorf("ran %v", r.ran)
	}
}

// A context reaches the job as it was written, if nested as deep as it may be.
func TestContextsThatJobsGet(t *testing.T) {
	deepest := `{"a":` + strings.Repeat("[", maxContextDepth-1) + strings.Repeat("]", maxContextDepth-1) + "}"
	for _, c := range []struct{ context, params string }{
		{"{}", "{}"},
		{` { "path" : "/tmp/a b; rm -rf /" } `, `{"path":"/tmp/a b; rm -rf /"}`},
		{`{"n":1.5,"ok":true,"none":null,"list":["ü","\u001b"]}`, `{"list":["ü","\u001b"],"n":1.5,"none":null,"ok":true}`},
		{deepest, deepest},
	} {
		r := newRunning(t)
		code, out, diag := r.do(t, "jobs", "trigger", "--id", "cleanup", "--context", c.context)
		if code != exitOK || out != `{"runId":"r1"}`+"\n" || len(r.ran) != 1 || r.ran[0] != "cleanup "+c.params {
			t.Errorf("%s: %d %q %q, ran %q", c.context, code, out, diag, r.ran)
		}
	}
}

// Lists that are empty, and rows of which every cell is somebody else's words.
func TestLists(t *testing.T) {
	const hostile = "a\tb\n\x1b[2J\u202e\u009b\xff"
	const shown = "a\uFFFDb\uFFFD\uFFFD[2J\uFFFD\uFFFD\uFFFD"
	const detail = "a\uFFFDb; \uFFFD[2J\uFFFD\uFFFD\uFFFD" // several errors are one line
	plugin := newRunning(t, func(r *running) {
		r.plugins = []view.Plugin{{ID: hostile, Status: hostile, ProcessID: 7, LastStartTime: time.Unix(0, 0), Detail: hostile}}
	}).root
	quiet := map[string]string{"GET /api/Jobs": "[]", "GET /api/plugins": "[]", "GET /api/PluginSettings/P": "{}", "GET /api/PluginSettings/P/k": `"\u001b[2J\nx"`}
	silent := answering(t, quiet)
	for _, c := range []struct{ root, line, want string }{
		{silent, "jobs list", "ID  ENABLED  EVENTS  NEXT RUN  BY NAME  NAME  DETAIL\n"},
		{silent, "plugins list", "ID  STATUS  PROCESS  STARTED  DETAIL\n"},
		{silent, "settings get P", "KEY  VALUE\n"},
		{silent, "jobs list --json", "[]\n"},
		{silent, "settings get P --json", "{}\n"},
		{silent, "settings get P k", "\uFFFD[2J\uFFFDx\n"},
		{silent, "settings get P k --json", `"\u001b[2J\nx"` + "\n"},
		{plugin, "plugins list", "ID           STATUS       PROCESS  STARTED              DETAIL\n" +
			shown + "  " + shown + "  7        " + time.Unix(0, 0).Format(time.DateTime) + "  " + detail + "\n"},
	} {
		if code, out, diag := do(t, append(strings.Fields(c.line), "--root", c.root)...); code != exitOK || out != c.want || diag != "" {
			t.Errorf("%s: %d\n%q%s\nwant\n%q", c.line, code, out, diag, c.want)
		}
	}
	delete(quiet, "GET /api/Jobs")
	for _, line := range []string{"jobs list", "jobs list --json"} {
		if code, out, diag := do(t, append(strings.Fields(line), "--root", silent)...); code != exitUsage || out != "" || diag != "KeeperAdminCLI: refused (fault): /api/Jobs failed\n" {
			t.Errorf("%s: %d %q %q", line, code, out, diag)
		}
	}
}
