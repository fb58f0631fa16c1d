package admincli

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"kpm/core"
	"kpm/launcher/journal"
)

// Every field that a record may have is on its line, and only then.
func TestARecordOnOneLine(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	for _, c := range []struct {
		record journal.Record
		want   string
	}{
		{journal.Record{Type: journal.Start}, ""},
		{journal.Record{Type: journal.Start, Cut: 17, Fault: "the head was gone"}, " cut=17 fault=the head was gone"},
		{journal.Record{Type: journal.Segment, Open: make([]journal.Unfinished, 3)}, " open=3"},
		{journal.Record{Type: journal.Opened, Argv: []string{"a"}, ArgvWhole: &journal.ArgvWhole{Arguments: 3, Bytes: 9, SHA256: "ab"}},
			` argv=["a"] arguments=3 bytes=9 sha256=ab`},
		{journal.Record{Type: journal.Removed, Cause: "size", First: 9, Count: 2}, " cause=size count=2 first=9"},
		{journal.Record{Type: journal.Faulty, Fault: "gone", First: 9}, " first=9 fault=gone"},
		{journal.Record{Type: journal.Clock, Shift: -90000}, " shift=-1m30s"},
		{journal.Record{Type: journal.Repeated, Request: "R", User: "ada", Count: 7, Since: at}, " request=R user=ada count=7 since=2026-01-02T03:04:05.000"},
		{journal.Record{Type: journal.Ended, Written: at}, " written=2026-01-02T03:04:05.000"},
		{journal.Record{Type: journal.Opened, Argv: []string{}}, " argv=[]"},
		{journal.Record{Type: journal.Pending, By: "KeeperPolicy", Cause: "require", Controls: []core.Control{"MFA", "JUSTIFICATION"},
			Policies: []core.PolicyRef{{Name: "a"}, {Name: "b c"}}}, ` by=KeeperPolicy cause=require policy="a" policy="b c" control=MFA control=JUSTIFICATION`},
		{journal.Record{Type: journal.Failed, Message: "no such\nfile"}, ` message="no such\nfile"`},
		{journal.Record{Type: journal.Launched, Child: &journal.Child{PID: 42, Start: 7}}, " process=" + core.ProcessID{PID: 42, Start: 7}.String()},
		{journal.Record{Type: journal.Ended, Exit: &core.ExitStatus{}}, " status=0 after=0s"},
		{journal.Record{Type: journal.Ended, Exit: &core.ExitStatus{Code: 3}, Millis: 61002, Killed: 2}, " status=3 after=1m1.002s killed=2"},
		{journal.Record{Type: journal.Ended, Millis: 61002}, ""}, // the command went on: nobody knows its status
		{journal.Record{Type: journal.Checkpoint, Signed: &journal.Signed{Seq: 9, Key: "ab cd"}}, ` signed=9 key="ab cd"`},
	} {
		_, got, _ := strings.Cut(describe(c.record), string(c.record.Type))
		if got = strings.TrimRight(" "+strings.TrimLeft(got, " "), " "); got != c.want {
			t.Errorf("%s: %q, want %q", c.record.Type, got, c.want)
		}
	}
}

func TestWhichWordsAreQuoted(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "ada": "ada", "/home/ada": "/home/ada", "DOMAIN-x_1.2+3": "DOMAIN-x_1.2+3", "Jürgen": "Jürgen",
		"a b": `"a b"`, "a=b": `"a=b"`, `a"b`: `"a\"b"`, `DOMAIN\ada`: `"DOMAIN\\ada"`, "[a": `"[a"`, "a]": `"a]"`,
		"a\tb": `"a\tb"`, "a\u202eb": `"a\u202eb"`, "a\u009bb": `"a\u009bb"`, "a\xffb": `"a\xffb"`,
	} {
		if got := word(text); got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}

func TestHowManyRecordsAreShown(t *testing.T) {
	root := journalled(t) // of 7 records
	for line, want := range map[string]int{
		"": 7, "-n 0": 0, "-n 1": 1, "--lines 6": 6, "-n 7": 7, "-n 1000000": 7, "-n 0 --json": 0, "-n 2 --json": 2,
	} {
		out := tell(t, exitOK, append(strings.Fields("audit tail "+line), "--root", root)...)
		if got := strings.Count(out, "\n"); got != want {
			t.Errorf("%q: %d records, want %d\n%s", line, got, want, out)
		}
	}
	code, out, diag := do(t, "audit", "tail", "-n", "-1", "--root", root)
	if code != exitUsage || out != "" || diag != "KeeperAdminCLI: -n is -1, expected 0 or more\n" {
		t.Errorf("%d %q %q", code, out, diag)
	}
}

// A service that is writing has a last line without an end. It is no record yet,
// and no fault.
func TestTailAndVerifyWhileALineIsWritten(t *testing.T) {
	root := journalled(t)
	file, err := os.OpenFile(segment(root), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.WriteString(`{"seq":8,"ti`); err != nil {
		t.Fatal(err)
	}
	if out := tell(t, exitOK, "audit", "tail", "-n", "1", "--root", root); !strings.Contains(out, " stop") {
		t.Errorf("tail: %q", out)
	}
	want := "unbroken: records 1 to 7 in 1 segments, head at 7\n" +
		"a last line of 12 bytes is unfinished: the service is writing it, or was ended while it did\n"
	if out := tell(t, exitOK, "audit", "verify", "--root", root); reach.ReplaceAllString(out, "") != want || out == want {
		t.Errorf("verify: %q", out)
	}
	if out := tell(t, exitOK, "audit", "verify", "--json", "--root", root); !strings.Contains(out, `"unfinished":12`) {
		t.Errorf("verify --json: %q", out)
	}
}

// A script that reads the journal must not take the records until it was
// interrupted for all there are.
func TestTailThatIsInterruptedHasNotAnswered(t *testing.T) {
	root := journalled(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	out, diag := interrupting{cancel: cancel}, bytes.Buffer{}
	code := Run(ctx, []string{"audit", "tail", "--root", root}, &out, &diag, machine())
	if code != exitUsage || out.lines != 1 || !strings.Contains(diag.String(), "interrupted") {
		t.Errorf("%d after %d lines: %q", code, out.lines, diag.String())
	}
}

// interrupting is a terminal at which somebody interrupts after the first line.
type interrupting struct {
	cancel func()
	lines  int
}

func (i *interrupting) Write(p []byte) (int, error) {
	i.lines++
	i.cancel()
	return len(p), nil
}

func TestAuditList(t *testing.T) {
	root := journalled(t)
	for line, want := range map[string][]string{
		"":                               {"segment", "start", "opened", "denied", "opened", "ended", "stop"},
		"--user ada":                     {"opened", "denied", "opened", "ended"},
		"--outcome denied":               {"denied"},
		"--request R2":                   {"opened", "ended"},
		"--request R2 -n 1":              {"opened"},
		"--user ada --since 1h":          {"opened", "denied", "opened", "ended"},
		"--user ada --until 2001-01-01":  nil,
		"--until 2001-01-01T00:00:00Z":   nil,
		"--user eve":                     nil,
		"--outcome ended --since 1h":     {"ended"},
		"--since 1h --until 0s -n 10000": {"segment", "start", "opened", "denied", "opened", "ended", "stop"},
	} {
		code, out, diag := do(t, append([]string{"audit", "list", "--root", root}, strings.Fields(line)...)...)
		var types []string
		for row := range strings.Lines(out) {
			types = append(types, strings.Fields(row)[2])
		}
		if code != exitOK || diag != "" || !slices.Equal(types, want) {
			t.Errorf("%q: %d %q %q", line, code, out, diag)
		}
	}
	code, out, _ := do(t, "audit", "list", "--root", root, "--outcome", "denied", "--json")
	var r journal.Record
	if err := json.Unmarshal([]byte(out), &r); code != exitOK || err != nil || r.User != "ada" || r.Program.Path != "/usr/bin/id" {
		t.Errorf("%d %q %v", code, out, err)
	}
	for line, says := range map[string]string{
		"--outcome gone": "expected one of", "--since yesterday": "is no time", "--until x": "is no time", "-n -1": "expected 0 or more",
	} {
		if code, out, diag := do(t, append([]string{"audit", "list", "--root", root}, strings.Fields(line)...)...); code != exitUsage || out != "" || !strings.Contains(diag, says) {
			t.Errorf("%q: %d %q %q", line, code, out, diag)
		}
	}
}
