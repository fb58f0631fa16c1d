package journal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
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
	<-j.kept
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
	if err := j.settle(); err != nil {
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

func TestWhatIsOpenComesBack(t *testing.T) {
	child := &Child{PID: 7, Start: 70, Group: "g7"}
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
		"what was left is gone":          {[]Record{{Type: Opened, Request: "A"}, {Type: Ended, Request: "A"}, {Type: Left, Request: "A", Child: child}, {Type: Gone, Request: "A"}}, []Unfinished{}},
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
	cfg := config(t.TempDir())
	cfg.SegmentBytes, cfg.KeepSegments = 4096, 3
	j, _ := opened(t, cfg)
	for range 400 {
		put(t, j, Record{Type: Control, Request: "R"})
	}
	list, err := segments(cfg.AuditDir)
	if err != nil || len(list) != 3 {
		t.Errorf("%d segments kept (%v), expected 3", len(list), err)
	}
	if report := verified(t, cfg); report.First == 1 || report.First != list[0] {
		t.Errorf("verified as %+v", report)
	}
	if _, _, err := Open(Config{KeepSegments: 1}); err == nil {
		t.Error("a journal that keeps one segment was opened")
	}
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
}

// slowFile counts syncs and lets the test decide when each one returns.
type slowFile struct {
	file
	syncs   atomic.Int32
	entered chan struct{}
	release chan error
}

func (f *slowFile) Sync() error {
	f.syncs.Add(1)
	if f.entered == nil {
		return f.file.Sync()
	}
	f.entered <- struct{}{}
	return <-f.release
}

// slowly opens a journal whose syncs, from the second on, wait for the test.
func slowly(t *testing.T) (*Journal, *slowFile) {
	t.Helper()
	cfg := config(t.TempDir())
	var slow *slowFile
	cfg.open = func(path string) (file, error) {
		f, err := openFile(path)
		slow = &slowFile{file: f}
		return slow, err
	}
	j, _, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	slow.syncs.Store(0)
	slow.entered, slow.release = make(chan struct{}), make(chan error)
	t.Cleanup(func() {
		close(slow.release) // every further sync succeeds at once
		go func() {
			for range slow.entered {
			}
		}()
		j.Close()
		close(slow.entered)
	})
	return j, slow
}

func TestConcurrentSyncsShareOne(t *testing.T) {
	j, disk := slowly(t)
	ctx := context.Background()
	put(t, j, Record{Type: Control})
	var wait sync.WaitGroup
	results := make(chan error, 101)
	syncing := func() { results <- j.Sync(ctx) }
	wait.Go(syncing)
	<-disk.entered
	// While the first sync is under way, records can be appended; the sync
	// does not cover them, so that all who want those share a second one.
	for range 100 {
		put(t, j, Record{Type: Control})
		wait.Go(syncing)
	}
	disk.release <- nil
	<-disk.entered
	disk.release <- nil
	wait.Wait()
	for range 101 {
		if err := <-results; err != nil {
			t.Error(err)
		}
	}
	if n := disk.syncs.Load(); n != 2 {
		t.Errorf("%d syncs for 101 callers, expected 2", n)
	}
	if err := j.Sync(ctx); err != nil || disk.syncs.Load() != 2 {
		t.Errorf("a sync of what is durable touched the disk (%v)", err)
	}
}

func TestAWaiterLeavesWhenItsContextEnds(t *testing.T) {
	j, disk := slowly(t)
	put(t, j, Record{Type: Control})
	leader := make(chan error)
	go func() { leader <- j.Sync(context.Background()) }()
	<-disk.entered
	ctx, cancel := context.WithCancel(context.Background())
	follower := make(chan error)
	go func() { follower <- j.Sync(ctx) }()
	cancel()
	if err := <-follower; !errors.Is(err, context.Canceled) {
		t.Errorf("the follower heard %v", err)
	}
	disk.release <- nil
	if err := <-leader; err != nil {
		t.Error(err)
	}
}

func TestAFailedSyncIsFinal(t *testing.T) {
	j, disk := slowly(t)
	put(t, j, Record{Type: Control})
	result := make(chan error)
	go func() { result <- j.Sync(context.Background()) }()
	<-disk.entered
	disk.release <- errors.New("input/output error")
	if err := <-result; !errors.Is(err, ErrUnavailable) {
		t.Errorf("sync: %v", err)
	}
	// The kernel may have dropped the pages: a sync that succeeds now would
	// say nothing about them.
	if err := j.Sync(context.Background()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("second sync: %v", err)
	}
	if err := j.Append(Record{Type: Control}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("append: %v", err)
	}
}

func TestASegmentEndsWhileItIsSynced(t *testing.T) {
	cfg := config(t.TempDir())
	cfg.SegmentBytes = 4096
	j, _ := opened(t, cfg)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 200 {
				if err := errors.Join(j.Append(Record{Type: Control}), j.Sync(context.Background())); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wait.Wait()
	if report := verified(t, cfg); report.Records < 1600 || report.Segments < 50 {
		t.Errorf("verified as %+v", report)
	}
}

func TestTheHeadFollowsWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := config(t.TempDir())
		var writes atomic.Int32
		cfg.WriteAtomic = func(path string, data []byte, perm os.FileMode) error {
			if filepath.Base(path) == headName {
				writes.Add(1)
			}
			return replace(path, data, perm)
		}
		j, _, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		atStart := writes.Load()
		for range 1000 {
			put(t, j, Record{Type: Control})
		}
		time.Sleep(headDelay)
		synctest.Wait()
		h, err := readHead(cfg.StateDir)
		if err != nil || h.Seq != 1002 || writes.Load() != atStart+1 {
			t.Errorf("after 1000 records and a second the head names %d (%v), written %d times", h.Seq, err, writes.Load()-atStart)
		}
		time.Sleep(10 * headDelay)
		synctest.Wait()
		if writes.Load() != atStart+1 {
			t.Errorf("an idle journal wrote its head %d times", writes.Load()-atStart-1)
		}
	})
}

func TestCloseIsRecorded(t *testing.T) {
	cfg := config(t.TempDir())
	j, _, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := j.Append(Record{Type: Control}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("append after close: %v", err)
	}
	opened(t, cfg)
	expected := []Type{Segment, Start, Stop, Start}
	if diff := cmp.Diff(expected, types(lines(t, cfg))); diff != "" {
		t.Error(diff)
	}
	h, err := readHead(cfg.StateDir)
	if report := verified(t, cfg); err != nil || h.Seq != 4 || report.Last != 4 {
		t.Errorf("head %+v (%v), verified as %+v", h, err, report)
	}
}
