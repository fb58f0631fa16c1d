package admincli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kpm/core/view"
)

// write writes a file of an agent root.
func (r *running) write(t *testing.T, path, text string) {
	t.Helper()
	path = filepath.Join(r.root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestConfigShow(t *testing.T) {
	r := newRunning(t, func(r *running) {
		r.stored = map[string]view.Setting{"system.logging.level": {Value: "Trace", Source: "stored", By: "Admin-0"}, "Requests:LaunchSeconds": {Value: "9", Source: "stored"}}
	})
	r.write(t, "appsettings.json", `{"Requests": {"EvaluateSeconds": 7}, "Settings": {"system.logging.level": "Debug"}}`)
	code, out, diag := r.do(t, "config", "show")
	if code != exitOK || diag != "" || !strings.Contains(out, "Requests:EvaluateSeconds") || strings.Count(out, "\n") != 3 {
		t.Errorf("what the file says: %d %q %q", code, out, diag)
	}
	code, out, diag = r.do(t, "config", "show", "--effective", "--json")
	var list []setting
	if err := json.Unmarshal([]byte(out), &list); code != exitOK || err != nil {
		t.Fatalf("%d %v %q %q", code, err, out, diag)
	}
	found := map[string]string{}
	for _, s := range list {
		found[s.Key] = s.Source + " " + string(s.Value)
	}
	for key, want := range map[string]string{
		"Requests:EvaluateSeconds": "file 7", "Requests:PromptSeconds": "default 120", "Settings:KeyStore": `default "auto"`,
		"Settings:system.logging.level": `stored "Trace"`, "Requests:LaunchSeconds": "stored 9",
	} {
		if found[key] != want {
			t.Errorf("%s: %q, want %q", key, found[key], want)
		}
	}
	if len(list) < 40 {
		t.Errorf("only %d settings", len(list))
	}
	r.stop()
	if code, out, _ := r.do(t, "config", "show", "--effective"); code != exitOK || !strings.Contains(out, "Settings:KeyStore") {
		t.Errorf("without the service: %d %q", code, out)
	}
}

func TestConfigCheck(t *testing.T) {
	r := newRunning(t, func(r *running) { r.jobs = []view.Job{} })
	r.write(t, "Policies/good.json", policyText("a", "ALLOW", "nobody", "/usr/bin/id"))
	code, out, diag := r.do(t, "config", "check")
	if code != exitFault || diag != "" || !strings.Contains(out, "KeeperPolicy.json: a topic: none: add one") {
		t.Errorf("a plugin's file: %d %q %q", code, out, diag)
	}
	r.plugins = nil
	if code, out, _ := r.do(t, "config", "check"); code != exitOK || !strings.HasSuffix(out, "every file is as it should be\n") {
		t.Errorf("%d %q", code, out)
	}
	for file, c := range map[string]struct{ text, says string }{
		"appsettings.json":   {`{"Requests": {"EvaluateSeconds": 0}}`, "EvaluateSeconds"},
		"Policies/bad.json":  {`{"PolicyId": "x", "PolicyType": 3}`, "PolicyType"},
		"Policies/open.json": {`{`, "open.json"},
	} {
		r.write(t, file, c.text)
		code, out, _ := r.do(t, "config", "check", "--json")
		var found checked
		if err := json.Unmarshal([]byte(out), &found); err != nil || code != exitFault || !found.Running || len(found.Problems) == 0 ||
			!strings.Contains(found.Problems[0].File+found.Problems[0].Found, c.says) {
			t.Errorf("%s: %d %q %v", file, code, out, err)
		}
		if err := os.Remove(filepath.Join(r.root, file)); err != nil {
			t.Fatal(err)
		}
	}
	r.write(t, "appsettings.json", `{"Requests": {"EvaluateSecond": 3}}`)
	if code, out, _ := r.do(t, "config", "check"); code != exitOK || !strings.Contains(out, "nothing reads Requests:EvaluateSecond: is it misspelt?") {
		t.Errorf("a key that nothing reads: %d %q", code, out)
	}
	r.stop()
	r.write(t, "Jobs/broken.json", `{"id":`)
	code, out, _ = r.do(t, "config", "check")
	if code != exitFault || !strings.Contains(out, "broken.json") || !strings.Contains(out, "the service does not answer") {
		t.Errorf("without the service: %d %q", code, out)
	}
}

// A job that the service could not read is a fault, one that it has a remark about
// is none.
func TestConfigCheckOfJobs(t *testing.T) {
	r := newRunning(t, func(r *running) {
		r.plugins = nil
		r.jobs = []view.Job{{ID: "bad", Detail: "no id"}, {ID: "odd", Priority: 5, Detail: "x is not supported"}, {ID: "good", Priority: 5}}
	})
	code, out, _ := r.do(t, "config", "check")
	if code != exitFault || !strings.Contains(out, "fault: "+filepath.Join(r.root, "Jobs", "bad.json")+": no id\n") ||
		!strings.Contains(out, "note: "+filepath.Join(r.root, "Jobs", "odd.json")+": x is not supported\n") || strings.Contains(out, "good.json") {
		t.Errorf("%d %q", code, out)
	}
}

// A plugin that is stopped on purpose is no fault; what else is wrong with its file is
// one before it is started, too.
func TestConfigCheckOfStoppedPlugins(t *testing.T) {
	const off = "its file says enabled: false"
	r := newRunning(t, func(r *running) {
		r.jobs = []view.Job{}
		r.plugins = []view.Plugin{{ID: "KeeperPolicy", Status: view.Stopped, Detail: off}}
		r.checks = []view.Check{
			{Item: 1, Title: "the program is there", Outcome: view.Fail, Found: off, Remedy: "change that"},
			{Item: 4, Title: "it subscribes", Outcome: view.Unknown, Found: "it does not run"},
			{Item: 10, Title: "it stays up", Outcome: view.Fail, Found: "and it does not run", Remedy: "start it"},
		}
	})
	r.write(t, "Policies/good.json", policyText("a", "ALLOW", "nobody", "/usr/bin/id"))
	code, out, diag := r.do(t, "config", "check")
	file := filepath.Join(r.root, "Plugins", "KeeperPolicy.json")
	if code != exitOK || diag != "" || out != "note: "+file+": the program is there: "+off+"\nnote: "+file+": it stays up: and it does not run\nevery file is as it should be\n" {
		t.Errorf("%d %q %q", code, out, diag)
	}
	r.checks = append(r.checks, view.Check{Item: 11, Title: "no job runs the same program", Outcome: view.Fail, Found: "so does nightly", Remedy: "make two"})
	if code, out, _ := r.do(t, "config", "check"); code != exitFault || !strings.Contains(out, "fault: "+file+": no job runs the same program: so does nightly: make two\n") {
		t.Errorf("%d %q", code, out)
	}
}
