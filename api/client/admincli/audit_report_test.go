package admincli

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kpm/launcher/journal"
)

// A report says no more than was found out: what a fault leaves open is neither
// called unbroken nor signed.
func TestWhatAReportSays(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)
	inLine := &journal.Fault{File: "f", Line: 3, Seq: 9, Found: "a", Expected: "b"}
	ofFile := &journal.Fault{File: "f", Found: "a", Expected: "b", Remedy: "c"}
	signed := &journal.SignedReport{Record: 8, Time: at, Key: "k", Unsigned: 2}
	for name, c := range map[string]struct {
		report journal.Report
		want   string
	}{
		"a fault of a record": {journal.Report{Records: 2, Checkpoints: 1, Fault: inLine},
			"FAULT in f, line 3, record 9\n  found:    a\n  expected: b\n2 records before it are unbroken\n"},
		"a fault of a file": {journal.Report{Records: 2, Fault: ofFile},
			"FAULT in f\n  found:    a\n  expected: b\n  remedy:   c\n2 records before it are unbroken\n"},
		"a signature that is missing": {journal.Report{Records: 10, Checkpoints: 1, Fault: ofFile, Signed: signed},
			"FAULT in f\n  found:    a\n  expected: b\n  remedy:   c\nsigned: up to record 8, at " + at.Format("2006-01-02 15:04:05Z07:00") +
				" by key k, checkpoints: 1; 2 records after it are not\n"},
		"a fault before all signatures": {journal.Report{Records: 2, Fault: inLine, Signed: &journal.SignedReport{Unsigned: 2}},
			"FAULT in f, line 3, record 9\n  found:    a\n  expected: b\n2 records before it are unbroken\nsigned: none of 2 records\n"},
		"several segments": {journal.Report{Segments: 2, Records: 3, First: 5, Last: 7, Head: 6, Noted: []string{"n"}},
			"noted by the service: n\nunbroken: records 5 to 7 in 2 segments, head at 6\n"},
		"a clock that was set": {journal.Report{Segments: 1, Records: 3, First: 5, Last: 7, Head: 6, Since: at, Clock: []string{"record 6, x: the clock was set back by 1h0m0s"}},
			"clock: record 6, x: the clock was set back by 1h0m0s\nunbroken: records 5 to 7 in 1 segments, head at 6\nit reaches back to " +
				at.Format("2006-01-02 15:04:05Z07:00") + "\n"},
	} {
		var out bytes.Buffer
		if err := printReport(&out, c.report, false); err != nil || out.String() != c.want {
			t.Errorf("%s: %v\n%s\nwant\n%s", name, err, out.String(), c.want)
		}
	}
}

// Attack: whoever rewrites the journal puts text into it that goes on like the
// report of one that is unbroken.
func TestAJournalForgesNoReport(t *testing.T) {
	const forged = "x\nunbroken: records 1 to 9 in 1 segments, head at 9\x1b[2J"
	fault := &journal.Fault{File: "/f" + forged, Line: 3, Seq: 3, Found: forged, Expected: forged, Remedy: forged}
	for _, report := range []journal.Report{
		{Fault: fault, Noted: []string{forged}},
		{Fault: &journal.Fault{File: "/f" + forged, Found: forged, Expected: forged}},
		{Signed: &journal.SignedReport{Time: time.Unix(1, 0), Key: forged}, Noted: []string{forged}, Fault: fault},
	} {
		var out bytes.Buffer
		if err := printReport(&out, report, false); err != nil {
			t.Fatal(err)
		}
		if text := out.String(); strings.Contains(text, "\nunbroken") || strings.Contains(text, "\x1b") || !strings.Contains(text, "FAULT in /fx\uFFFDunbroken") {
			t.Errorf("%+v:\n%s", report, text)
		}
	}
	key, file := newMachineKey(t)
	root := signedAgent(t, key)
	data, err := os.ReadFile(segment(root))
	if err != nil {
		t.Fatal(err)
	}
	lines := bytes.SplitAfter(data, []byte("\n"))
	was := lines[8]
	lines[8] = bytes.Replace(was, []byte(`"key":"`), []byte(`"key":"x\nunbroken: records 1 to 10 in 1 segments, head at 10\n`), 1)
	if bytes.Equal(was, lines[8]) {
		t.Fatalf("no key in %s", was)
	}
	if err := os.WriteFile(segment(root), bytes.Join(lines, nil), 0o600); err != nil {
		t.Fatal(err)
	}
	out := tell(t, exitFault, "audit", "verify", "--key", file, "--root", root)
	if !strings.HasPrefix(out, "FAULT in "+segment(root)+", line 9, record 9\n  found:    a checkpoint of the key x\uFFFDunbroken") || strings.Contains(out, "\nunbroken") {
		t.Errorf("%s", out)
	}
}

// Without a time of its own, verify allows an hour: longer than between two
// checkpoints, and not so long that somebody could go on for a day.
func TestForHowLongRecordsMayBeUnsigned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key, file := newMachineKey(t)
		root := signedAgent(t, key)
		j := open(t, root)
		for _, c := range []struct {
			later   time.Duration
			options string
			code    int
		}{
			{59 * time.Minute, "", exitOK},
			{2 * time.Minute, "", exitFault},
			{0, "--max-unsigned 62m", exitOK},
			{0, "--max-unsigned 0", exitOK},
			{0, "--max-unsigned 0 --max-age 62m", exitOK},
			{0, "--max-unsigned 0 --max-age 60m", exitFault},
		} {
			time.Sleep(c.later)
			if err := j.Append(journal.Record{Type: journal.Opened, Request: "R9"}); err != nil {
				t.Fatal(err)
			}
			tell(t, c.code, append(strings.Fields("audit verify --root "+root+" --key "+file), strings.Fields(c.options)...)...)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	})
}
