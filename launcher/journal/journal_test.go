package journal

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"kpm/core"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("JOURNAL_CRASH_DIR"); dir != "" {
		appendForever(dir)
	}
	if dir := os.Getenv("JOURNAL_FULL_DIR"); dir != "" {
		fillAndRecover(dir)
	}
	goleak.VerifyTestMain(m)
}

// replace is WriteAtomic without the syncs.
func replace(path string, data []byte, perm os.FileMode) error {
	if err := os.WriteFile(path+".new", data, perm); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

func config(dir string) Config {
	return Config{AuditDir: filepath.Join(dir, "Audit"), StateDir: filepath.Join(dir, "State"), WriteAtomic: replace}
}

// opened returns an open journal that ends with the test.
func opened(t testing.TB, cfg Config) (*Journal, Replay) {
	t.Helper()
	j, replay, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j, replay
}

func put(t testing.TB, j *Journal, records ...Record) {
	t.Helper()
	for _, r := range records {
		if err := j.Append(r); err != nil {
			t.Fatal(err)
		}
	}
}

// crash makes a durable journal look as after kill -9: no stop record, the
// writer gone, the head where it was.
func crash(t testing.TB, j *Journal) {
	t.Helper()
	close(j.closing)
	<-j.ended
	j.file.Close()
}

// crashed writes records, all durable and known to the head, and crashes.
func crashed(t testing.TB, cfg Config, records ...Record) {
	t.Helper()
	j, _, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	put(t, j, records...)
	if err := j.Settle(); err != nil {
		t.Fatal(err)
	}
	crash(t, j)
}

func lines(t testing.TB, cfg Config) []Record {
	t.Helper()
	list, err := segments(cfg.AuditDir)
	if err != nil {
		t.Fatal(err)
	}
	var out []Record
	for _, seq := range list {
		data, err := os.ReadFile(filepath.Join(cfg.AuditDir, segmentName(seq)))
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(data) {
			r, err := parseLine(bytes.TrimSuffix(line, []byte("\n")))
			if err != nil {
				t.Fatalf("%s: %v", line, err)
			}
			out = append(out, r)
		}
	}
	return out
}

func types(records []Record) []Type {
	var out []Type
	for _, r := range records {
		out = append(out, r.Type)
	}
	return out
}

func verified(t testing.TB, cfg Config) Report {
	t.Helper()
	report, err := Verify(context.Background(), cfg.AuditDir, cfg.StateDir, Demand{})
	if err != nil {
		t.Fatal(err)
	}
	if report.Fault != nil {
		t.Fatalf("a sound journal has a fault: %v", report.Fault)
	}
	return report
}

func TestARecordIsOneLineThatNamesTheOneBefore(t *testing.T) {
	cfg := config(t.TempDir())
	j, _ := opened(t, cfg)
	put(t, j, Record{
		Type: Opened, Request: "R1", UserID: "1000", User: "ada", TargetID: "0", Target: "root",
		Program: &core.Executable{Requested: "id", Path: "/usr/bin/id", SHA256: "ab", Protected: true},
		Argv:    []string{"id", "-u\n\x1b[2J"}, Directory: "/home/ada", Seal: "cd",
	})
	put(t, j, Record{Type: Denied, Request: "R1", By: "KeeperPolicy", Cause: "deny", Policies: []core.PolicyRef{{ID: "p", Name: "P"}}})

	path := filepath.Join(cfg.AuditDir, "journal-00000000000000000001.jsonl")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	written := bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))
	if len(written) != 4 {
		t.Fatalf("%d lines, expected segment, start, opened, denied", len(written))
	}
	for i, line := range written {
		var fields map[string]any
		if err := json.Unmarshal(line, &fields); err != nil {
			t.Fatal(err)
		}
		expected := noHash
		if i > 0 {
			expected = hashLine(written[i-1])
		}
		if fields["seq"] != float64(i+1) || fields["prev"] != expected {
			t.Errorf("line %d has seq %v and prev %v", i+1, fields["seq"], fields["prev"])
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; expected 0600", info.Mode(), err)
	}
	if r := lines(t, cfg)[2]; r.Argv[1] != "-u\n\x1b[2J" || r.Program.Path != "/usr/bin/id" || r.Time.IsZero() {
		t.Errorf("came back as %+v", r)
	}
}

// The journal remembers the last commands whose callers may not have heard how
// they ended, and no more, in the order in which they ended.
func TestFewUnheardAreRemembered(t *testing.T) {
	set := openSet{}
	seq := uint64(0)
	put := func(r Record) {
		seq++
		r.Seq = seq
		set.apply(r)
	}
	name := func(i int) core.RequestID { return core.RequestID(fmt.Sprint(i)) }
	const all = maxUnheard + 10
	for i := range all {
		put(Record{Type: Opened, Request: name(i), Caller: &Caller{Key: fmt.Sprint(i)}})
		put(Record{Type: Launched, Request: name(i), Child: &Child{PID: i}})
	}
	for i := range all { // what was opened first ends last
		put(Record{Type: Ended, Request: name(all - 1 - i), Exit: &core.ExitStatus{Code: i}})
		if i == 0 {
			put(Record{Type: Left, Request: name(all - 1), Child: &Child{PID: all - 1}})
		}
	}
	if len(set) != maxUnheard+1 || set[name(0)].Exit == nil || set[name(all-10)].Exit != nil {
		t.Errorf("%d are remembered, of the last %+v, of an early one %+v", len(set), set[name(0)], set[name(all-10)])
	}
	if left := set[name(all-1)]; left.Last != Left || left.Caller != nil || left.Child == nil {
		t.Errorf("of what was left is kept %+v", left)
	}
}

func TestWhatIsOpenComesBack(t *testing.T) {
	child := &Child{PID: 7, Start: 70, Group: "g7"}
	caller := &Caller{Key: "00ff", PID: 6, Start: 60, User: "1000"}
	cases := map[string]struct {
		records []Record
		open    []Unfinished
	}{
		"nothing": {nil, []Unfinished{}},
		"opened": {[]Record{{Type: Opened, Request: "A"}},
			[]Unfinished{{Request: "A", Since: 3, Last: Opened}}},
		"in order of opening": {[]Record{{Type: Opened, Request: "B"}, {Type: Opened, Request: "A"}, {Type: Evaluating, Request: "B"}},
			[]Unfinished{{Request: "B", Since: 3, Last: Evaluating}, {Request: "A", Since: 4, Last: Opened}}},
		"launched": {[]Record{{Type: Opened, Request: "A"}, {Type: Allowed, Request: "A"}, {Type: Launching, Request: "A"}, {Type: Launched, Request: "A", Child: child}},
			[]Unfinished{{Request: "A", Since: 3, Last: Launched, Child: child}}},
		"a control is no transition": {[]Record{{Type: Opened, Request: "A"}, {Type: Pending, Request: "A"}, {Type: Control, Request: "A"}},
			[]Unfinished{{Request: "A", Since: 3, Last: Pending}}},
		"denied":  {[]Record{{Type: Opened, Request: "A"}, {Type: Denied, Request: "A"}}, []Unfinished{}},
		"expired": {[]Record{{Type: Opened, Request: "A"}, {Type: Expired, Request: "A"}}, []Unfinished{}},
		"failed":  {[]Record{{Type: Opened, Request: "A"}, {Type: Failed, Request: "A"}}, []Unfinished{}},
		"ended":   {[]Record{{Type: Opened, Request: "A"}, {Type: Launched, Request: "A", Child: child}, {Type: Ended, Request: "A"}}, []Unfinished{}},
		"ended, something is left": {[]Record{{Type: Opened, Request: "A"}, {Type: Ended, Request: "A"}, {Type: Left, Request: "A", Child: child}},
			[]Unfinished{{Request: "A", Since: 5, Last: Left, Child: child}}},
		"what was left is gone": {[]Record{{Type: Opened, Request: "A"}, {Type: Ended, Request: "A"}, {Type: Left, Request: "A", Child: child}, {Type: Gone, Request: "A"}}, []Unfinished{}},
		"ended, and its caller may not have heard": {[]Record{{Type: Opened, Request: "A", Caller: caller}, {Type: Launched, Request: "A", Child: child}, {Type: Ended, Request: "A", Exit: &core.ExitStatus{Code: 7}}},
			[]Unfinished{{Request: "A", Since: 5, Last: Ended, Child: child, Caller: caller, Exit: &core.ExitStatus{Code: 7}}}},
		"failed after it was launched, the same": {[]Record{{Type: Opened, Request: "A", Caller: caller}, {Type: Launched, Request: "A", Child: child}, {Type: Failed, Request: "A"}},
			[]Unfinished{{Request: "A", Since: 5, Last: Failed, Child: child, Caller: caller}}},
		"failed before": {[]Record{{Type: Opened, Request: "A", Caller: caller}, {Type: Launching, Request: "A"}, {Type: Failed, Request: "A"}}, []Unfinished{}},
		"ended, left something, and its caller may not have heard": {[]Record{{Type: Opened, Request: "A", Caller: caller}, {Type: Launched, Request: "A", Child: child}, {Type: Ended, Request: "A", Exit: &core.ExitStatus{Code: 7}}, {Type: Left, Request: "A", Child: child}},
			[]Unfinished{{Request: "A", Since: 6, Last: Left, Child: child, Caller: caller, Exit: &core.ExitStatus{Code: 7}}}},
		"a record of an unknown request": {[]Record{{Type: Launched, Request: "A", Child: child}}, []Unfinished{}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			cfg := config(t.TempDir())
			crashed(t, cfg, c.records...)
			_, replay := opened(t, cfg)
			if diff := cmp.Diff(c.open, replay.Open); diff != "" {
				t.Error(diff)
			}
			if replay.Fault != nil || replay.Cut != 0 {
				t.Errorf("a sound journal was opened with %+v", replay)
			}
			verified(t, cfg)
		})
	}
}

func TestReplayReadsTheLastSegmentOnly(t *testing.T) {
	cfg := config(t.TempDir())
	cfg.SegmentBytes = 4096
	records := []Record{{Type: Opened, Request: "old"}, {Type: Evaluating, Request: "old"}}
	for i := range 500 {
		id := core.RequestID(fmt.Sprint("R", i))
		records = append(records, Record{Type: Opened, Request: id}, Record{Type: Denied, Request: id})
	}
	crashed(t, cfg, records...)
	_, replay := opened(t, cfg)
	if replay.Records > 40 {
		t.Errorf("%d records read to open a journal of 1000", replay.Records)
	}
	expected := []Unfinished{{Request: "old", Since: 3, Last: Evaluating}}
	if diff := cmp.Diff(expected, replay.Open); diff != "" {
		t.Error(diff)
	}
	if report := verified(t, cfg); report.Segments < 20 || report.First != 1 {
		t.Errorf("verified as %+v", report)
	}
}

func TestOldSegmentsGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(t.TempDir())
		cfg.SegmentBytes, cfg.KeepSegments = 4096, 3
		j, _ := opened(t, cfg)
		for range 400 {
			put(t, j, Record{Type: Control, Request: "R"})
		}
		time.Sleep(2 * headDelay)
		synctest.Wait()
		list, err := segments(cfg.AuditDir)
		if err != nil || len(list) != 3 {
			t.Errorf("%d segments kept (%v), expected 3", len(list), err)
		}
		if report := verified(t, cfg); report.First == 1 || report.First != list[0] {
			t.Errorf("verified as %+v", report)
		}
		all := lines(t, cfg)
		if last := all[len(all)-1]; last.Type != Removed || last.First != list[0] || last.Count < 2 || last.Cause != "size" {
			t.Errorf("recorded as %+v", last)
		}
		if _, _, err := Open(Config{KeepSegments: 1}); err == nil {
			t.Error("a journal that keeps one segment was opened")
		}
	})
}

func TestSecretsAreMasked(t *testing.T) {
	rules := []*regexp.Regexp{regexp.MustCompile(`(?is)^--?(password|passwd|token|secret)(=.*)?$`)}
	cases := []struct{ argv, recorded []string }{
		{nil, nil},
		{[]string{"mysql", "-uroot"}, []string{"mysql", "-uroot"}},
		{[]string{"x", "--password=hunter2", "y"}, []string{"x", "--password=***", "y"}},
		{[]string{"x", "--TOKEN", "hunter2", "y"}, []string{"x", "--TOKEN", "***", "y"}},
		{[]string{"x", "-secret"}, []string{"x", "-secret"}},
		{[]string{"x", "--password="}, []string{"x", "--password=***"}},
		{[]string{"x", "--passwords=1"}, []string{"x", "--passwords=1"}},
		{[]string{"x", "--password=hunter2\nrest"}, []string{"x", "--password=***"}},
	}
	for _, c := range cases {
		before := slices.Clone(c.argv)
		if diff := cmp.Diff(c.recorded, mask(c.argv, rules)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff(before, c.argv); diff != "" {
			t.Errorf("the caller's argv was changed: %s", diff)
		}
	}
	cfg := config(t.TempDir())
	cfg.Mask = rules
	j, _ := opened(t, cfg)
	put(t, j, Record{Type: Opened, Request: "R", Argv: []string{"x", "--password=hunter2"}})
	data, err := os.ReadFile(filepath.Join(cfg.AuditDir, segmentName(1)))
	if err != nil || bytes.Contains(data, []byte("hunter2")) {
		t.Errorf("the secret is in the journal: %s %v", data, err)
	}
	// Neither is one that is not UTF-8, and is there as bytes as well.
	put(t, j, Record{Type: Opened, Request: "R", Argv: []string{"x", `--token=\xFF`, `-\xFE`}, ArgvBytes: map[int][]byte{1: []byte("--token=\xff"), 2: []byte("-\xfe")}})
	data, err = os.ReadFile(filepath.Join(cfg.AuditDir, segmentName(1)))
	if err != nil || !bytes.Contains(data, []byte(`"argv":["x","--token=***","-\\xFE"],"argvBytes":{"2":"Lf4="}`)) {
		t.Errorf("the journal has %s %v", data, err)
	}
}
