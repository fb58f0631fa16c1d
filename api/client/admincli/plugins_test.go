package admincli

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kpm/core/view"
)

func TestPluginsAndSettings(t *testing.T) {
	r := newRunning(t)
	body := filepath.Join(t.TempDir(), "New.json")
	if err := os.WriteFile(body, []byte(`{"id":"New"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		line string
		code int
		want string
	}{
		{"plugins start KeeperPolicy", 0, "KeeperPolicy is Healthy\n"},
		{"plugins stop KeeperPolicy", 0, "KeeperPolicy is Healthy\n"}, // the fake's
		{"plugins restart KeeperLogger", 1, "KeeperLogger is Stopped\n"},
		{"plugins health KeeperPolicy", 0, "status    Healthy\nprocess   77\nup        0s\nrestarts  0\n"},
		{"plugins health KeeperLogger", 1, "status    Stopped\nrestarts  0\n"},
		{"plugins reload", 1, "added   MyBridge\nbroken  Bad: not JSON\n"},
		{"reload", 1, "settings changed  Settings:system.logging.level\njobs changed      cleanup\nplugins added     MyBridge\nplugin broken     Bad: not JSON\n"},
		{"plugins check KeeperPolicy", 1, "1  pass  the program is there  /x\n2  fail  a topic               none\n                               -> add one\n"},
		{"plugins check " + body, 0, "1  pass  New  {\"id\":\"New\"}\n"},
		{"plugins approve --list", 0, "FILE            CHANGE   FOUND  APPROVED\nPlugins/A.json  changed  aa     bb\n"},
		{"plugins approve A", 0, `{"approved":["Plugins/A.json"]}` + "\n"},
		{"plugins approve --all", 0, `{"approved":["Plugins/A.json"]}` + "\n"},
		{"doctor", 0, "nothing of the troubleshooting table is recognised\n"},
		{"topics", 0, "WHO  KIND    CONNECTED  TOPIC  MAY PUBLISH   MAY SUBSCRIBE  KEPT\nA    plugin  1          A      KeeperLogger  A A/+\n\n" +
			"REFUSED  WHAT     TOPIC  TIMES  REASON        MISSING IN\nA        publish  B      3      not declared  metadata.mqttTopics.publish\n\n" +
			"DROPPED  CAUSE       WHY\n7        queue-full  its queue was full\n"},
		{"settings put A colour 7", 0, `{"plugin":"A","setting":"colour","value":"7","source":"stored"}` + "\n"},
		{"settings revert A", 0, `{"plugin":"A","reverted":["odd"]}` + "\n"},
		{"settings revert-all", 0, `{"reverted":{"A":["x"]}}` + "\n"},
		{"settings get KeeperPrivilegeManager --explain", 0, "KEY          VALUE      FROM     BY\nbroker.host  127.0.0.1  service\nbroker.port  8675       service\n" +
			"odd          a\uFFFDb        stored   Admin-0 0001-01-01 00:00:00\n"},
		{"settings app", 0, `{"Settings":{"KestrelHttpPort":6888}}` + "\n"},
		{"settings app Settings:KestrelHttpPort=7000 Settings:system.logging.level=Debug", 0, `{"changed":[],"restartRequired":["Settings:KestrelHttpPort"]}` + "\n"},
	} {
		code, out, diag := r.do(t, strings.Fields(c.line)...)
		if code != c.code || out != c.want || diag != "" {
			t.Errorf("%s: %d %s\n%swant %d\n%s", c.line, code, diag, out, c.code, c.want)
		}
	}
	if got, want := strings.Join(r.ran, ", "), `start KeeperPolicy, stop KeeperPolicy, restart KeeperLogger, approve A, approve , put A colour=7, `+
		`app {"Settings":{"KestrelHttpPort":7000,"system.logging.level":"Debug"}}`; got != want {
		t.Errorf("ran %s\nwant %s", got, want)
	}
	r.diagnoses = []view.Diagnosis{{Symptom: "Plugin does not start", Plugin: "A", Found: "no\x1bprogram", Remedy: "install it"}}
	if code, out, _ := r.do(t, "doctor"); code != 1 || out != "Plugin does not start: A\n  no\uFFFDprogram\n  -> install it\n" {
		t.Errorf("%d %q", code, out)
	}
	for line, says := range map[string]string{
		"plugins approve":                                 "expected ID, or --all",
		"plugins approve A --all":                         "expected ID, or --all",
		"plugins check nobody":                            "no such plugin",
		"plugins check /nowhere/A.json":                   "no such file",
		"settings put A x":                                "expected a VALUE, or --stdin",
		"settings app KestrelHttpPort":                    "expected SECTION:KEY=VALUE",
		"plugins new a/b --lang shell":                    "expected 1 to 64 letters",
		"plugins new KeeperPrivilegeManager --lang shell": "expected 1 to 64 letters",
		"plugins new A --lang cobol":                      "there is no scaffold for",
		"plugins new A":                                   `required flag(s) "lang" not set`,
		"plugins remove ..":                               "expected a plugin's id",
	} {
		if code, _, diag := r.do(t, strings.Fields(line)...); code != 2 || !strings.Contains(diag, says) {
			t.Errorf("%s: %d %q, want 2 with %q", line, code, diag, says)
		}
	}
	for _, line := range []string{"plugins start", "plugins stop", "plugins restart", "plugins health", "plugins reload", "plugins check", "plugins new",
		"plugins install", "plugins remove", "plugins approve", "plugins logs", "settings put", "settings revert", "settings revert-all", "settings app", "topics", "doctor"} {
		code, out, _ := do(t, append(strings.Fields(line), "--help")...)
		if code != 0 || !strings.Contains(out, "Examples:\n  KeeperAdminCLI ") {
			t.Errorf("%s --help: %d\n%s", line, code, out)
		}
	}
}

// A plugin's lines are told from others', in text and in JSON, through a rotation.
func TestPluginLogs(t *testing.T) {
	at := filepath.Join(t.TempDir(), "KeeperLogger.log")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	var out strings.Builder
	l := pluginLog{id: "A", path: at, out: &out}
	if err := l.last(2); err == nil || !strings.Contains(err.Error(), "written nothing yet") {
		t.Errorf("%v", err)
	}
	write("t [INF] A: one\nt [INF] AB: no\nt [INF] B: A: no\nt [WRN] A: two\n{\"source\":\"A\",\"message\":\"three\"}\nt [INF] A: ha")
	if err := l.last(2); err != nil || out.String() != "t [WRN] A: two\n{\"source\":\"A\",\"message\":\"three\"}\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
	f, err := os.OpenFile(at, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("lf\nt [INF] A: \x1b[2J\n"); err != nil {
		t.Fatal(err)
	}
	f.Close()
	out.Reset()
	if err := l.more(l.print); err != nil || out.String() != "t [INF] A: half\nt [INF] A: \uFFFD[2J\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
	if err := os.Remove(at); err != nil {
		t.Fatal(err)
	}
	write("t [INF] A: anew\n")
	out.Reset()
	if err := l.more(l.print); err != nil || out.String() != "t [INF] A: anew\n" {
		t.Errorf("%q, %v", out.String(), err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := l.follow(ctx); err != nil {
		t.Error(err)
	}
}

// What is installed belongs to nobody else and leads nowhere else.
func TestCopyTree(t *testing.T) {
	from, to := t.TempDir(), t.TempDir()
	for name, text := range map[string]string{"A.json": "{}", "A": "#!/bin/sh", "lib/x": "x"} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(from, name)), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(from, name), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(from, "A"), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("lib/x", filepath.Join(from, "link")); err != nil {
		t.Fatal(err)
	}
	if err := copyTree(from, to, filepath.Join(from, "A.json")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{"A": 0o755, "lib": 0o755 | os.ModeDir, "lib/x": 0o644} {
		if info, err := os.Lstat(filepath.Join(to, name)); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
	if _, err := os.Lstat(filepath.Join(to, "A.json")); !os.IsNotExist(err) {
		t.Errorf("the plugin's file is among its programs: %v", err)
	}
	for _, target := range []string{"/etc/passwd", "../x", "lib/../../x"} {
		if err := os.Remove(filepath.Join(from, "link")); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(from, "link")); err != nil {
			t.Fatal(err)
		}
		if err := copyTree(from, t.TempDir(), ""); err == nil || !strings.Contains(err.Error(), "leads out of the folder") {
			t.Errorf("%s: %v", target, err)
		}
	}
}

// A line of the log as KeeperLogger writes text is an object for scripts.
func TestLinesOfTheLogAsJSON(t *testing.T) {
	var out strings.Builder
	l := pluginLog{out: &out, asJSON: true}
	for _, line := range []string{
		"2026-11-21T18:00:00.000Z [WRN] MyBridge/tool: not there: [INF] x: y path=\"a b\"",
		`{"time":"2026-11-21T18:00:00.000Z","message":"as it is"}`, "no line of it \x1b[2J", "2026 [ABC] x: y",
	} {
		if err := l.print(line); err != nil {
			t.Fatal(err)
		}
	}
	want := `{"time":"2026-11-21T18:00:00.000Z","level":"Warning","source":"MyBridge/tool","message":"not there: [INF] x: y path=\"a b\""}
{"time":"2026-11-21T18:00:00.000Z","message":"as it is"}
{"message":"no line of it \u001b[2J"}
{"message":"2026 [ABC] x: y"}
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
}

func TestANewPluginAsJSON(t *testing.T) {
	t.Chdir(t.TempDir())
	code, out, diag := newRunning(t).do(t, "plugins", "new", "MyBridge", "--lang", "shell", "--json")
	var made map[string]string
	if err := json.Unmarshal([]byte(out), &made); code != exitOK || err != nil || made["plugin"] != "MyBridge" || filepath.Base(made["folder"]) != "MyBridge" || made["make"] == "" {
		t.Errorf("%d %q %q %v", code, out, diag, err)
	}
}
