package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kpm/core"
)

// searchable is a journal of small segments: alice has run something that is
// still open, ended and was denied; bob was denied often.
func searchable(t *testing.T) (dir string) {
	t.Helper()
	root := t.TempDir()
	dir = filepath.Join(root, "audit")
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	j, _, err := Open(Config{
		AuditDir: dir, StateDir: filepath.Join(root, "state"), SegmentBytes: 2 << 10,
		WriteAtomic: func(path string, data []byte, perm os.FileMode) error { return os.WriteFile(path, data, perm) },
		clock:       func() (time.Time, time.Duration) { return now, now.Sub(time.Time{}) },
	})
	if err != nil {
		t.Fatal(err)
	}
	request := func(id, user string, uid core.UserID, types ...Type) {
		records := []Record{{Type: Opened, UserID: uid, User: user, Target: "root", Program: &core.Executable{Path: "/bin/" + id}, Argv: []string{id, user}}}
		for _, kind := range types {
			records = append(records, Record{Type: kind})
		}
		for _, r := range records {
			now = now.Add(time.Minute)
			r.Request = core.RequestID(id)
			if err := j.Append(r); err != nil {
				t.Fatal(err)
			}
		}
	}
	request("open", "alice", "1000", Evaluating, Allowed, Launching, Launched)
	request("ended", "alice", "1000", Evaluating, Allowed, Launching, Launched, Ended, Left)
	for i := range 20 {
		request(fmt.Sprint("denied", i), "bob", "1001", Evaluating, Denied)
	}
	request("late", "alice", "1000", Evaluating, Denied)
	now = now.Add(time.Minute)
	if err := j.Append(Record{Type: Ended, Request: "open"}); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// all goes through every page.
func all(t *testing.T, dir string, q Query) (found []Record, pages int) {
	t.Helper()
	for {
		page, err := Search(t.Context(), dir, q)
		if err != nil {
			t.Fatal(err)
		}
		found, pages = append(found, page.Records...), pages+1
		if page.Next == 0 {
			return found, pages
		}
		if page.Next <= q.After {
			t.Fatalf("the page after %d is after %d", q.After, page.Next)
		}
		q.After = page.Next
	}
}

func TestSearch(t *testing.T) {
	dir := searchable(t)
	if list, err := segments(dir); err != nil || len(list) < 4 {
		t.Fatalf("%d segments, %v: the test needs several", len(list), err)
	}
	at := func(minutes int) time.Time { return time.Date(2026, 3, 1, 0, minutes, 0, 0, time.UTC) }
	for name, c := range map[string]struct {
		q    Query
		want int
		is   func(Record) bool
	}{
		"a request": {Query{Request: "ended"}, 7, func(r Record) bool { return r.Request == "ended" }},
		"a user, by name": {Query{User: "alice"}, 5 + 1 + 7 + 3, func(r Record) bool {
			return r.User == "alice" && r.UserID == "1000" && r.Target == "root" && r.Program.Path == "/bin/"+string(r.Request)
		}},
		"a user, by id":       {Query{User: "1001"}, 60, func(r Record) bool { return r.User == "bob" }},
		"a user of no record": {Query{User: "ali"}, 0, nil},
		"an outcome":          {Query{Outcome: Denied}, 21, func(r Record) bool { return r.Type == Denied && r.User != "" }},
		"of a user":           {Query{Outcome: Denied, User: "alice"}, 1, func(r Record) bool { return r.Request == "late" }},
		"an end long after its beginning": {Query{Outcome: Ended, Request: "open"}, 1, func(r Record) bool {
			return r.User == "alice" && r.Program.Path == "/bin/open"
		}},
		"a time": {Query{Since: at(13), Until: at(16), User: "bob"}, 3, func(r Record) bool { return r.Request == "denied0" }},
	} {
		for _, limit := range []int{0, 1, 3, MaxFound} {
			q := c.q
			q.Limit = limit
			found, pages := all(t, dir, q)
			if len(found) != c.want || limit == 1 && pages < c.want {
				t.Errorf("%s, %d a page: %d records in %d pages, want %d", name, limit, len(found), pages, c.want)
			}
			for i, r := range found {
				if !c.is(r) || i > 0 && r.Seq <= found[i-1].Seq {
					t.Errorf("%s: found %+v", name, r)
				}
			}
		}
	}
}

// What comes first of a page may have been asked for many segments ago.
func TestSearchKnowsWhoAskedLongAgo(t *testing.T) {
	dir := searchable(t)
	list, err := segments(dir)
	if err != nil {
		t.Fatal(err)
	}
	page, err := Search(t.Context(), dir, Query{After: list[len(list)-1], User: "alice", Outcome: Ended})
	if err != nil || len(page.Records) != 1 || page.Records[0].Request != "open" {
		t.Errorf("%+v, %v", page, err)
	}
}

func TestSearchesThatCannotBe(t *testing.T) {
	dir := searchable(t)
	for _, q := range []Query{{Limit: -1}, {Limit: MaxFound + 1}, {Outcome: Opened}} {
		if _, err := Search(t.Context(), dir, q); !errors.Is(err, ErrQuery) {
			t.Errorf("%+v: %v", q, err)
		}
	}
	if _, err := Search(t.Context(), t.TempDir(), Query{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no journal: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Search(ctx, dir, Query{}); !errors.Is(err, context.Canceled) {
		t.Errorf("interrupted: %v", err)
	}
	list, err := segments(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, segmentName(list[1])), []byte("{}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Search(t.Context(), dir, Query{}); err == nil || !strings.Contains(err.Error(), segmentName(list[1])) {
		t.Errorf("a line that is no record: %v", err)
	}
}

// Stats count what was written, and what could not be.
func TestStats(t *testing.T) {
	root := t.TempDir()
	j, _, err := Open(Config{
		AuditDir: filepath.Join(root, "audit"), StateDir: filepath.Join(root, "state"),
		WriteAtomic: func(path string, data []byte, perm os.FileMode) error { return os.WriteFile(path, data, perm) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Append(Record{Type: Opened, Request: "r"}); err != nil {
		t.Fatal(err)
	}
	if err := j.Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := j.Stats()
	if s.Records[Opened] != 1 || s.Records[Start] != 1 || s.Last != 3 || s.First != 1 || s.Durable != 3 || s.Segments != 1 || s.Syncs.Count == 0 || s.Failures != 0 || s.Bytes == 0 {
		t.Errorf("%+v", s)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := j.Append(Record{Type: Opened}); err == nil {
		t.Fatal("appended to a closed journal")
	}
	if s := j.Stats(); s.Failures != 1 {
		t.Errorf("%d failures", s.Failures)
	}
}
