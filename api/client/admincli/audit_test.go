package admincli

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"kpm/core"
	"kpm/launcher/journal"
	"kpm/platform"
)

// journalled makes a root with a journal of two requests.
func journalled(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	j := open(t, root)
	for _, r := range []journal.Record{
		{Type: journal.Opened, Request: "R1", User: "ada", Target: "root", Program: &core.Executable{Path: "/usr/bin/id"},
			Argv: []string{"id", "a b", "\x1b[31m\u202e\u009b\U0001f600"}, Directory: "/home/ada"},
		{Type: journal.Denied, Request: "R1", By: "KeeperPolicy", Cause: "deny", Policies: []core.PolicyRef{{ID: "p", Name: "No id"}}},
		{Type: journal.Opened, Request: "R2", User: "ada"},
		{Type: journal.Ended, Request: "R2", Exit: &core.ExitStatus{Signal: 15}, Millis: 1500},
	} {
		if err := j.Append(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return root
}

func open(t *testing.T, root string) *journal.Journal {
	t.Helper()
	j, _, err := journal.Open(journal.Config{AuditDir: filepath.Join(root, "Audit"), StateDir: filepath.Join(root, "State"),
		WriteAtomic: func(path string, data []byte, perm os.FileMode) error { return os.WriteFile(path, data, perm) }})
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// machine is the machine that the tests run on.
func machine() Config {
	return Config{
		Version: "1.2.3", Host: platform.Tools, Policies: readPolicies, Jobs: jobChecker,
	}
}

// do runs the command line and returns its exit code and what it printed.
func do(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, diag bytes.Buffer
	code = Run(context.Background(), args, &out, &diag, machine())
	return code, out.String(), diag.String()
}

// reach is the line that says how far back a journal reaches.
var reach = regexp.MustCompile(`(?m)^it reaches back to \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\S+\n`)

func segment(root string) string {
	return filepath.Join(root, "Audit", "journal-00000000000000000001.jsonl")
}

func TestVerify(t *testing.T) {
	root := journalled(t)
	code, out, diag := do(t, "audit", "verify", "--root", root)
	if code != 0 || reach.ReplaceAllString(out, "") != "unbroken: records 1 to 7 in 1 segments, head at 7\n" || !reach.MatchString(out) || diag != "" {
		t.Errorf("%d: %q %q", code, out, diag)
	}
	var report journal.Report
	code, out, _ = do(t, "audit", "verify", "--json", "--root", root)
	if err := json.Unmarshal([]byte(out), &report); code != 0 || err != nil || report.Records != 7 || report.Fault != nil {
		t.Errorf("%d, %v: %q", code, err, out)
	}

	data, err := os.ReadFile(segment(root))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(segment(root), bytes.Replace(data, []byte("No id"), []byte("No \xc2\x9bd"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, diag = do(t, "audit", "verify", "--root", root)
	for _, part := range []string{"FAULT in " + segment(root), "line 5, record 5", "found:", "expected:", "4 records before it are unbroken"} {
		if code != 1 || !strings.Contains(out, part) || diag != "" {
			t.Errorf("%d: %q lacks %q", code, out, part)
		}
	}
	code, out, _ = do(t, "audit", "verify", "--json", "--root", root)
	if err := json.Unmarshal([]byte(out), &report); code != 1 || err != nil || report.Fault == nil || report.Fault.Line != 5 {
		t.Errorf("%d, %v: %q", code, err, out)
	}
}

func TestAFaultThatTheServiceNotedIsAFault(t *testing.T) {
	root := journalled(t)
	if err := os.Remove(filepath.Join(root, "State", "journal.head")); err != nil {
		t.Fatal(err)
	}
	open(t, root).Close()
	code, out, _ := do(t, "audit", "verify", "--root", root)
	if code != 1 || !strings.Contains(out, "noted by the service: record 9") || !strings.Contains(out, "unbroken") {
		t.Errorf("%d: %q", code, out)
	}
}

func TestTail(t *testing.T) {
	root := journalled(t)
	code, out, diag := do(t, "audit", "tail", "-n", "5", "--root", root)
	lines := strings.Split(out, "\n")
	if code != 0 || len(lines) != 6 || diag != "" {
		t.Fatalf("%d: %q %q", code, out, diag)
	}
	for i, want := range [][]string{
		{"opened", "request=R1", "user=ada", "target=root", "program=/usr/bin/id", `argv=["id" "a b" "\x1b[31m\u202e\u009b`, "directory=/home/ada"},
		{"denied", "by=KeeperPolicy", "cause=deny", `policy="No id"`},
		{"opened", "request=R2"},
		{"ended", "status=143", "after=1.5s"},
		{"stop"},
	} {
		for _, part := range want {
			if !strings.Contains(lines[i], part) {
				t.Errorf("%q lacks %q", lines[i], part)
			}
		}
	}
	code, out, _ = do(t, "audit", "tail", "-n", "5", "--json", "--root", root)
	var r journal.Record
	if err := json.Unmarshal([]byte(strings.Split(out, "\n")[0]), &r); code != 0 || err != nil || r.Argv[2] != "\x1b[31m\u202e\u009b\U0001f600" {
		t.Errorf("%d, %v: %q", code, err, out)
	}
	for i, c := range []byte(out) {
		if c >= 0x7f || c < ' ' && c != '\n' {
			t.Fatalf("byte %#x at %d of --json output", c, i)
		}
	}
}

// Users name files and directories. None of those names is taken for another
// value of the line.
func TestNamesForgeNoValues(t *testing.T) {
	const forged = `/tmp/x user=root cause=allow "by=KeeperPolicy`
	line := describe(journal.Record{
		Type: journal.Opened, User: "eve target=root", Target: "bob", Directory: forged + "\n\u202e",
		Program: &core.Executable{Path: forged}, Argv: []string{"x", "y] directory=/"},
	})
	line = line[strings.Index(line, "user="):]
	want := `user="eve target=root" target=bob program="/tmp/x user=root cause=allow \"by=KeeperPolicy" ` +
		`argv=["x" "y] directory=/"] directory="/tmp/x user=root cause=allow \"by=KeeperPolicy\n\u202e"`
	if line != want {
		t.Errorf("got  %s\nwant %s", line, want)
	}
}

func TestTailFollowsUntilInterrupted(t *testing.T) {
	root := journalled(t)
	j := open(t, root)
	defer j.Close()
	ctx, cancel := context.WithCancel(context.Background())
	out := &watched{lines: make(chan string, 100)}
	var code int
	var wait sync.WaitGroup
	wait.Go(func() {
		code = Run(ctx, []string{"audit", "tail", "-f", "-n", "1", "--root", root}, out, out, machine())
	})
	if line := <-out.lines; !strings.Contains(line, "start") {
		t.Errorf("began with %q", line)
	}
	if err := j.Append(journal.Record{Type: journal.Opened, Request: "R3"}); err != nil {
		t.Fatal(err)
	}
	if line := <-out.lines; !strings.Contains(line, "request=R3") {
		t.Errorf("went on with %q", line)
	}
	cancel()
	wait.Wait()
	if code != 0 {
		t.Errorf("interrupted: %d", code)
	}
}

// watched hands every line to the test.
type watched struct{ lines chan string }

func (w *watched) Write(p []byte) (int, error) {
	w.lines <- string(p)
	return len(p), nil
}

func TestUsageAndUnreadable(t *testing.T) {
	root, empty, loose := journalled(t), t.TempDir(), t.TempDir()
	if err := os.Chmod(loose, 0o777); err != nil {
		t.Fatal(err)
	}
	garbled := journalled(t)
	if err := os.WriteFile(segment(garbled), []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(empty, "link")
	if err := os.Symlink(root, link); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KEEPER_AGENT_ROOT", root) // these tests run as root, which ignores it
	cases := map[string]struct {
		args []string
		says string
	}{
		"unknown command":    {[]string{"audits"}, "unknown command"},
		"unknown subcommand": {[]string{"audit", "erase"}, "unknown command"},
		"unknown flag":       {[]string{"audit", "verify", "--force"}, "unknown flag"},
		"too many arguments": {[]string{"audit", "tail", "5"}, "unknown command"},
		"negative":           {[]string{"audit", "tail", "-n", "-1", "--root", root}, "expected 0 or more"},
		"no journal":         {[]string{"audit", "verify", "--root", empty}, "no journal in " + empty},
		"nothing to tail":    {[]string{"audit", "tail", "--root", empty}, "no journal in " + empty},
		"not a record":       {[]string{"audit", "tail", "--root", garbled}, "offset 0"},
		"a writable root":    {[]string{"audit", "verify", "--root", loose}, "cannot be trusted"},
		"a link":             {[]string{"audit", "verify", "--root", link}, "cannot be trusted"},
		"the variable":       {[]string{"audit", "verify"}, "/opt/KeeperPrivilegeManager"},
	}
	for name, c := range cases {
		code, out, diag := do(t, c.args...)
		if code != 2 || out != "" || !strings.Contains(diag, c.says) {
			t.Errorf("%s: %d, %q, %q", name, code, out, diag)
		}
	}
}

func TestHelpAndCompletion(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"audit", "verify", "--help"}, {"audit", "tail", "--help"}, {"completion", "bash"}, {"--version"}} {
		if code, out, diag := do(t, args...); code != 0 || out == "" || diag != "" {
			t.Errorf("%v: %d, %q", args, code, diag)
		}
	}
	if _, out, _ := do(t, "audit", "tail", "--help"); !strings.Contains(out, "Examples:") {
		t.Error("no examples")
	}
}

func TestTimesAreLocal(t *testing.T) {
	r := journal.Record{Time: time.Date(2026, 1, 2, 3, 4, 5, 6e6, time.UTC), Type: journal.Gone}
	if got := describe(r); got != r.Time.Local().Format("2006-01-02 15:04:05.000")+" gone      " {
		t.Errorf("%q", got)
	}
}
