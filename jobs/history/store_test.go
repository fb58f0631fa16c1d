package history

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"kpm/core/view"
	"kpm/jobs/schedule"
)

// TestMain plays the service that is killed, if told so (TestKilled).
func TestMain(m *testing.M) {
	if path := os.Getenv("KPM_TEST_HISTORY"); path != "" {
		write(path)
		return
	}
	goleak.VerifyTestMain(m)
}

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func opened(t testing.TB, path string, limits Limits) (*Store, []view.JobRun) {
	t.Helper()
	s, cutOff, err := Open(path, limits, epoch, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(context.Background()) })
	return s, cutOff
}

func plenty() Limits { return Limits{Age: 365 * 24 * time.Hour, Bytes: 1 << 30} }

func run(n int, job, state string) view.JobRun {
	return view.JobRun{
		ID: fmt.Sprintf("run-%03d", n), JobID: job, JobName: job + "!", State: state, CreatedAt: epoch.Add(time.Duration(n) * time.Minute),
		Trigger: view.JobTrigger{Kind: "event", Event: "Startup"}, Priority: 5, ContextIn: map[string]any{"A": "b"},
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestARunIsFoundAsItWasSaved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b?c%d", "jobs.db")
	must(t, os.Mkdir(filepath.Dir(path), 0o755))
	s, _ := opened(t, path, plenty())
	r := run(1, "scan", "running")
	must(t, s.Save(r))
	code := 3
	must(t, s.SaveTask(r.ID, view.TaskRun{Number: 1, TaskID: "a", State: "running", StartedAt: epoch}))
	ended := view.TaskRun{Number: 1, TaskID: "a", State: "failed", StartedAt: epoch, EndedAt: epoch.Add(time.Second), ExitCode: &code, Output: "\ufffd\x00"}
	must(t, s.SaveTask(r.ID, ended))
	r.State, r.ContextOut = "failed", map[string]any{"B": 1.5}
	must(t, s.Save(r))
	must(t, s.Close(context.Background()))

	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	s, cutOff := opened(t, path, plenty())
	if len(cutOff) != 0 {
		t.Errorf("cut off: %v", cutOff)
	}
	r.Tasks = []view.TaskRun{ended}
	got, err := s.Run(r.ID)
	if diff := cmp.Diff(r, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if _, err := s.Run("other"); !errors.Is(err, ErrUnknown) {
		t.Errorf("got %v", err)
	}
}

func TestRunsWithoutAnEndAreMarked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jobs.db")
	s, _ := opened(t, path, plenty())
	for i, state := range []string{"queued", "running", "succeeded", "cancelled"} {
		must(t, s.Save(run(i, "scan", state)))
		must(t, s.SaveTask(run(i, "", "").ID, view.TaskRun{Number: 1, State: state}))
	}
	must(t, s.Close(context.Background()))
	for round, want := range []string{"run-000 run-001", "run-000 run-001", "run-001", ""} {
		s, cutOff := opened(t, path, plenty())
		var ids []string
		for _, r := range cutOff {
			ids = append(ids, r.ID)
			kept, err := s.Run(r.ID)
			if err != nil || kept.State != "interrupted" || r.State != "interrupted" || kept.EndedAt != epoch || kept.Reason == "" {
				t.Errorf("%v %+v", err, kept)
			}
			if r.ID == "run-001" && kept.Tasks[0].State != "interrupted" {
				t.Errorf("%+v", kept.Tasks)
			}
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("start %d: %q, want %q", round, got, want)
		}
		switch round { // in the first, the service is killed before it has dealt with them
		case 1:
			must(t, s.Settle("run-000"))
		case 2:
			again := run(9, "scan", "succeeded")
			again.Trigger.Kind, again.ParentID = "rerun", "run-001"
			must(t, s.Save(again))
		}
		must(t, s.Close(context.Background()))
	}
}

func TestPages(t *testing.T) {
	s, _ := opened(t, filepath.Join(t.TempDir(), "jobs.db"), plenty())
	for i := range 10 {
		r := run(i, []string{"scan", "sync"}[i%2], []string{"succeeded", "failed"}[i/5])
		if i == 3 {
			r.Trigger = view.JobTrigger{Kind: "manual"}
		}
		must(t, s.Save(r))
	}
	for _, tc := range []struct {
		filter view.JobRunFilter
		want   string
		more   bool
	}{
		{view.JobRunFilter{Limit: 3}, "9 8 7", true},
		{view.JobRunFilter{Limit: 10}, "9 8 7 6 5 4 3 2 1 0", false},
		{view.JobRunFilter{Limit: 9, JobID: "SCAN"}, "8 6 4 2 0", false},
		{view.JobRunFilter{Limit: 9, State: "failed", JobID: "sync"}, "9 7 5", false},
		{view.JobRunFilter{Limit: 9, Kind: "manual"}, "3", false},
		{view.JobRunFilter{Limit: 9, Event: "Startup", State: "succeeded"}, "4 2 1 0", false},
		{view.JobRunFilter{Limit: 9, Since: epoch.Add(2 * time.Minute), Until: epoch.Add(4 * time.Minute)}, "3 2", false},
		{view.JobRunFilter{Limit: 9, JobID: "' OR 1=1 --"}, "", false},
	} {
		page, err := s.Runs(tc.filter)
		if got := numbers(page); err != nil || got != tc.want || (page.Next != "") != tc.more {
			t.Errorf("%+v: %v %q %q", tc.filter, err, got, page.Next)
		}
	}
	var all []string
	for next := ""; ; {
		page, err := s.Runs(view.JobRunFilter{Limit: 4, Before: next})
		must(t, err)
		all = append(all, numbers(page))
		if next = page.Next; next == "" {
			break
		}
	}
	if got := strings.Join(all, "|"); got != "9 8 7 6|5 4 3 2|1 0" {
		t.Error(got)
	}
	for _, f := range []view.JobRunFilter{{}, {Limit: -1}, {Limit: MaxPage + 1}, {Limit: 1, Before: "x"}} {
		if _, err := s.Runs(f); !errors.Is(err, ErrFilter) {
			t.Errorf("%+v: %v", f, err)
		}
	}
}

func numbers(page view.JobRuns) string {
	var list []string
	for _, r := range page.Runs {
		list = append(list, strings.TrimLeft(strings.TrimPrefix(r.ID, "run-"), "0")+strings.Repeat("0", map[bool]int{true: 1}[r.ID == "run-000"]))
	}
	return strings.Join(list, " ")
}

func TestWhatIsOldOrTooMuchGoes(t *testing.T) {
	s, _ := opened(t, filepath.Join(t.TempDir(), "jobs.db"), Limits{Age: time.Hour, Bytes: 1 << 20})
	must(t, s.Save(run(0, "old", "succeeded")))
	must(t, s.SaveTask("run-000", view.TaskRun{Number: 1}))
	must(t, s.Save(run(1, "open", "running")))
	must(t, s.trim(epoch.Add(61*time.Minute), false))
	if _, err := s.Run("run-000"); err != nil {
		t.Errorf("where age does not count: %v", err)
	}
	for i := 100; i < 400; i++ {
		must(t, s.SaveTask(run(i, "", "").ID, view.TaskRun{Number: 1, Output: strings.Repeat("x", 10000)}))
		must(t, s.Save(run(i, "scan", "succeeded")))
	}
	must(t, s.trim(epoch.Add(61*time.Minute), true))
	page, err := s.Runs(view.JobRunFilter{Limit: MaxPage})
	must(t, err)
	last := page.Runs[len(page.Runs)-1]
	if n := len(page.Runs); page.Runs[0].ID != "run-399" || last.JobID != "open" || n < 50 || n > 150 {
		t.Errorf("%d runs, the last is %s", n, last.ID)
	}
	size, err := s.size()
	if err != nil || size > 1<<20 {
		t.Errorf("%d %v", size, err)
	}
	var left int
	if err := s.read.QueryRow(`SELECT count(*) FROM tasks WHERE run NOT IN (SELECT id FROM runs)`).Scan(&left); err != nil || left > 0 {
		t.Errorf("%d tasks of no run, %v", left, err)
	}
}

func TestAFileThatIsNoDatabaseIsMovedAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jobs.db")
	must(t, os.WriteFile(path, []byte(strings.Repeat("no database\n", 1000)), 0o600))
	s, _ := opened(t, path, plenty())
	must(t, s.Save(run(1, "scan", "running")))
	if aside, _ := filepath.Glob(path + ".broken-*"); len(aside) != 1 {
		t.Errorf("%v", aside)
	}
}

func TestLargeContextsAreNotKept(t *testing.T) {
	s, _ := opened(t, filepath.Join(t.TempDir(), "jobs.db"), plenty())
	r := run(1, "scan", "running")
	r.ContextIn = map[string]any{"Large": strings.Repeat("x", maxContext)}
	must(t, s.Save(r))
	if got, err := s.Run(r.ID); err != nil || len(got.ContextIn["Large"].(string)) > 100 {
		t.Errorf("%v %.200v", err, got)
	}
}

// Who queued a run may say so when that run has ended already.
func TestAQueuedRunReplacesNothing(t *testing.T) {
	s, _ := opened(t, filepath.Join(t.TempDir(), "jobs.db"), plenty())
	for _, state := range []string{"queued", "running", "queued", "succeeded", "queued"} {
		must(t, s.Save(run(1, "scan", state)))
		got, err := s.Run("run-001")
		must(t, err)
		if want := state; got.State != want && (state != "queued" || got.State == "queued") {
			t.Errorf("after %s it is %s", state, got.State)
		}
	}
	if got, err := s.Run("run-001"); err != nil || got.State != "succeeded" {
		t.Errorf("%v, %s", err, got.State)
	}
}

func TestDue(t *testing.T) {
	path := filepath.Join(t.TempDir(), "jobs.db")
	s, _ := opened(t, path, plenty())
	if _, known := s.LastDue("scan", "a"); known {
		t.Error("known")
	}
	s.Due(schedule.Due{Job: "scan", Schedule: "a", At: epoch, Once: true})
	s.Due(schedule.Due{Job: "scan", Schedule: "b", At: epoch.Add(time.Hour), Once: true}, schedule.Due{Job: "other", Schedule: "b", At: epoch})
	must(t, s.Close(context.Background()))
	s, _ = opened(t, path, plenty())
	if at, known := s.LastDue("SCAN", "b"); !known || !at.Equal(epoch.Add(time.Hour)) {
		t.Errorf("%v %v", at, known)
	}
	if _, known := s.LastDue("scan", "a"); known {
		t.Error("an earlier schedule is remembered")
	}
	// Runs may be written down in another order than they were due in: a time that has
	// been would come again. A clock that was wrong by more is another matter.
	for _, at := range []struct{ due, want time.Duration }{{2 * time.Hour, 2 * time.Hour}, {time.Hour, 2 * time.Hour}, {-time.Hour, 2 * time.Hour}, {-2 * time.Hour, -2 * time.Hour}} {
		must(t, s.Save(run(0, "scan", "running"), schedule.Due{Job: "scan", Schedule: "b", At: epoch.Add(at.due)}))
		if got, known := s.LastDue("scan", "b"); !known || !got.Equal(epoch.Add(at.want)) {
			t.Errorf("after %v: %v %v", at.due, got, known)
		}
	}
}

// write saves runs, one after another, and says so, until it is killed.
func write(path string) {
	s, _, err := Open(path, plenty(), epoch, slog.New(slog.DiscardHandler))
	if err != nil {
		panic(err)
	}
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				r := run(0, "scan", "running")
				r.ID = fmt.Sprintf("%d-%d", worker, i)
				if s.Save(r) == nil {
					os.Stdout.WriteString("begun " + r.ID + "\n")
				}
				if r.State = "succeeded"; s.Save(r) == nil {
					os.Stdout.WriteString("ended " + r.ID + "\n")
				}
			}
		})
	}
	wg.Wait()
}

// Killed at any moment, it has lost no run that it said it had kept: such a run has its
// end, or is marked.
func TestKilled(t *testing.T) {
	exe, err := os.Executable()
	must(t, err)
	for round := range 5 {
		path := filepath.Join(t.TempDir(), "jobs.db")
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), "KPM_TEST_HISTORY="+path)
		out, err := cmd.StdoutPipe()
		must(t, err)
		must(t, cmd.Start())
		buf, said := make([]byte, 4096), ""
		for len(said) < 3000+round*1777 {
			n, err := out.Read(buf)
			must(t, err)
			said += string(buf[:n])
		}
		must(t, cmd.Process.Kill())
		for {
			n, err := out.Read(buf)
			if said += string(buf[:n]); err != nil {
				break
			}
		}
		_ = cmd.Wait()
		s, _ := opened(t, path, plenty())
		ended := map[string]bool{}
		lines := strings.Split(said[:strings.LastIndex(said, "\n")], "\n")
		for _, line := range lines {
			what, id, _ := strings.Cut(line, " ")
			ended[id] = ended[id] || what == "ended"
		}
		for id, end := range ended {
			kept, err := s.Run(id)
			if err != nil || end && kept.State != "succeeded" || !end && kept.State != "interrupted" && kept.State != "succeeded" {
				t.Errorf("%s (ended %v): %v %s", id, end, err, kept.State)
			}
		}
		if len(ended) < 20 {
			t.Errorf("only %d runs", len(ended))
		}
	}
}

func BenchmarkSave(b *testing.B) {
	s, _ := opened(b, filepath.Join(b.TempDir(), "jobs.db"), plenty())
	n := 0
	for b.Loop() {
		n++
		r := run(n, "scan", "running")
		if err := s.Save(r); err != nil {
			b.Fatal(err)
		}
	}
}

// Whoever reads finds what was told before, also what may be written later; and what
// may be written later is written together.
func TestWhatMayBeWrittenLaterIsWrittenTogether(t *testing.T) {
	s, _ := opened(t, filepath.Join(t.TempDir(), "jobs.db"), plenty())
	for i := range 20 {
		r := run(i, "launch", "running")
		must(t, s.Note(r))
		must(t, s.NoteTask(r.ID, view.TaskRun{Number: 1, TaskID: "a", State: "succeeded"}))
		r.State = "succeeded"
		must(t, s.Note(r))
		got, err := s.Run(r.ID)
		if err != nil || got.State != "succeeded" || len(got.Tasks) != 1 {
			t.Fatalf("%v %+v", err, got)
		}
		if page, err := s.Runs(view.JobRunFilter{Limit: 1}); err != nil || page.Runs[0].ID != r.ID {
			t.Fatalf("%v %+v", err, page)
		}
	}
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		begun := time.Now()
		for range 3 {
			q.put(operation{later: true})
		}
		<-q.filled
		if batch, waited := q.batch(), time.Since(begun); len(batch) != 3 || waited != gather {
			t.Errorf("%d changes after %s, want all three, gathered", len(batch), waited)
		}
		q.put(operation{later: true})
		begun = time.Now()
		q.put(operation{}) // somebody waits for this one
		<-q.filled
		if batch, waited := q.batch(), time.Since(begun); len(batch) != 2 || waited != 0 {
			t.Errorf("%d changes after %s, want both at once", len(batch), waited)
		}
		q.put(operation{later: true})
		if left := q.close(); len(left) != 1 {
			t.Errorf("%d changes are left, want what waited", len(left))
		}
	})
}
