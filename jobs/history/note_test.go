package history

import (
	"fmt"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"kpm/core/view"
)

// rows counts the rows that have tasks of their own.
func rows(t *testing.T, s *Store) (n int) {
	t.Helper()
	s.caughtUp()
	must(t, s.read.QueryRow(`SELECT count(*) FROM tasks`).Scan(&n))
	return n
}

// A run that is noted from its beginning to its end before anything is written is one
// row, with its tasks; of one that takes longer each task has a row. Whoever reads sees
// no difference.
func TestARunIsNotedInOneRow(t *testing.T) {
	for _, between := range []bool{false, true} {
		s, _ := opened(t, filepath.Join(t.TempDir(), "jobs.db"), plenty())
		r := run(1, "launch", "running")
		one := view.TaskRun{Number: 1, TaskID: "a", State: "running", StartedAt: epoch}
		must(t, s.Note(r))
		must(t, s.NoteTask(r.ID, one))
		want := 0
		if between {
			want = 2
			if got, err := s.Run(r.ID); err != nil || got.State != "running" || len(got.Tasks) != 1 || got.Tasks[0].State != "running" {
				t.Errorf("%v %+v", err, got)
			}
		}
		one.State, one.EndedAt = "succeeded", epoch.Add(time.Second)
		two := view.TaskRun{Number: 2, TaskID: "b", State: "skipped", Output: "\ufffd\x00"}
		must(t, s.NoteTask(r.ID, one))
		must(t, s.NoteTask(r.ID, two))
		queued := r
		queued.State = "queued"
		r.State, r.ContextOut = "succeeded", map[string]any{"B": 1.5}
		must(t, s.Note(r))
		must(t, s.Note(queued)) // which replaces nothing
		if n := rows(t, s); n != want {
			t.Errorf("%d tasks have rows of their own, want %d", n, want)
		}
		got, err := s.Run(r.ID)
		r.Tasks = []view.TaskRun{one, two}
		if diff := cmp.Diff(r, got); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
		page, err := s.Runs(view.JobRunFilter{Limit: 9})
		if err != nil || len(page.Runs) != 1 || page.Runs[0].Tasks != nil {
			t.Errorf("%v %+v", err, page)
		}
		if len(s.parted) != 0 {
			t.Errorf("%v are remembered for no reason", s.parted)
		}
	}
}

// A page reads no tasks: what is kept of them, in whatever form, is not its concern.
func TestAPageReadsNoTasks(t *testing.T) {
	s, _ := opened(t, filepath.Join(t.TempDir(), "jobs.db"), plenty())
	r := run(1, "scan", "succeeded")
	must(t, s.NoteTask(r.ID, view.TaskRun{Number: 1, TaskID: "a", State: "succeeded"}))
	must(t, s.Note(r))
	s.caughtUp()
	if _, err := s.write.Exec(`UPDATE runs SET body = json_set(body, '$.tasks[0].number', 'one')`); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Run(r.ID); err == nil {
		t.Error("the run itself is read without its tasks")
	}
	page, err := s.Runs(view.JobRunFilter{Limit: 1})
	if err != nil || len(page.Runs) != 1 {
		t.Fatalf("%v %+v", err, page)
	}
	if diff := cmp.Diff(r, page.Runs[0]); diff != "" {
		t.Error(diff)
	}
}

// What is noted of a run that is not over waits for its end, but for no longer than
// anything else; nobody who reads waits for that.
func TestWhatIsNotOverWaits(t *testing.T) {
	noted := func(q *queue, id, state string) {
		q.note(id, false, func(n *note) { n.run = &view.JobRun{ID: id, State: state} })
	}
	ids := func(batch []operation) (ids string) {
		for _, op := range batch {
			ids += " -"
			if op.note != nil {
				ids += op.note.runID
			}
		}
		return ids
	}
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		begun := time.Now()
		step := func(after time.Duration, want string) {
			t.Helper()
			<-q.filled
			if got, waited := ids(q.batch()), time.Since(begun); got != want || waited != after {
				t.Errorf("after %s: %q, want %q after %s", waited, got, want, after)
			}
		}
		noted(q, "a", "running")
		noted(q, "b", "running")
		time.Sleep(gather - time.Millisecond)
		noted(q, "c", "running")
		noted(q, "a", "succeeded")
		noted(q, "d", "succeeded")
		step(gather, " -a -b -d")
		noted(q, "b", "failed") // another note of it
		step(2*gather-time.Millisecond, " -c -b")
		begun = time.Now()
		noted(q, "e", "running")
		q.put(operation{})
		step(0, " -e -")
		if len(q.list)+len(q.notes) != 0 || q.urgent {
			t.Errorf("%d operations and %d notes are left", len(q.list), len(q.notes))
		}
		q.close()
	})
}

// A run of very many tasks is not held in memory until it ends.
func TestManyTasksAreNotOneChange(t *testing.T) {
	s, _ := opened(t, filepath.Join(t.TempDir(), "jobs.db"), plenty())
	r := run(1, "launch", "running")
	must(t, s.Note(r))
	for i := range 3*maxTogether + 1 {
		must(t, s.NoteTask(r.ID, view.TaskRun{Number: i + 1, TaskID: fmt.Sprint(i), State: "succeeded"}))
	}
	r.State = "failed"
	must(t, s.Note(r))
	got, err := s.Run(r.ID)
	if err != nil || got.State != "failed" || len(got.Tasks) != 3*maxTogether+1 || rows(t, s) != len(got.Tasks) {
		t.Fatalf("%v %s %d", err, got.State, len(got.Tasks))
	}
	for i, task := range got.Tasks {
		if task.Number != i+1 {
			t.Fatalf("task %d is %+v", i, task)
		}
	}
}

// A run that ends just after a note of it is full is written in order: it must not be
// said to run for ever.
func TestAFullNoteDoesNotWaitBehindTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		defer q.close()
		state := func(id, state string) {
			q.note(id, false, func(n *note) { n.run = &view.JobRun{ID: id, State: state} })
		}
		state("another", "running")
		time.Sleep(gather - time.Millisecond)
		state("a", "running")
		for range maxTogether {
			q.note("a", false, func(n *note) { n.tasks = append(n.tasks, view.TaskRun{}) })
		}
		state("a", "succeeded")
		<-q.filled
		got := []string{}
		for _, op := range q.batch() {
			got = append(got, op.note.runID+" "+op.note.run.State)
		}
		if diff := cmp.Diff([]string{"another running", "a running", "a succeeded"}, got); diff != "" {
			t.Error(diff)
		}
	})
}

// What is noted together takes few pages of the disk: ids that begin alike lie together.
func BenchmarkNote(b *testing.B) {
	s, _ := opened(b, filepath.Join(b.TempDir(), "jobs.db"), plenty())
	n := 0
	for b.Loop() {
		n++
		r := run(n, "launch", "running")
		r.ID = fmt.Sprintf("%026d", n)
		for _, err := range []error{
			s.Note(r), s.NoteTask(r.ID, view.TaskRun{Number: 1, State: "skipped"}),
			s.NoteTask(r.ID, view.TaskRun{Number: 2, State: "running"}), s.NoteTask(r.ID, view.TaskRun{Number: 2, State: "succeeded"}),
		} {
			if err != nil {
				b.Fatal(err)
			}
		}
		r.State = "succeeded"
		if err := s.Note(r); err != nil {
			b.Fatal(err)
		}
	}
}
