package history

import (
	"database/sql"
	"encoding/json"
	"slices"
	"time"

	"kpm/core/view"
	"kpm/jobs/schedule"
	"kpm/jobs/state"
)

// note is what is new of a run that another record tells of, and is written together:
// of the run for an elevation all of it, in one row, since that ends sooner than what is
// noted gets written.
type note struct {
	runID string
	since time.Time    // when it began to wait
	run   *view.JobRun // nil if only tasks are new
	tasks []view.TaskRun
}

// over reports whether the run has ended.
func (n *note) over() bool { return n.run != nil && state.State(n.run.State).Final() }

// usualTasks is room for those of the bundled jobs.
const usualTasks = 8

// Note keeps run as it is now, without waiting until it is written, some milliseconds
// later: for runs that another record tells of.
func (s *Store) Note(run view.JobRun, due ...schedule.Due) error {
	if len(due) > 0 { // that a schedule was due is not known from elsewhere
		return s.save(run, due, false)
	}
	run.Tasks = nil
	return s.noted(run.ID, bounded(run), func(n *note) {
		if n.run == nil || !bounded(run) {
			n.run = &run
		}
	})
}

// NoteTask is SaveTask for a run that is kept by Note: it is written with that.
func (s *Store) NoteTask(runID string, task view.TaskRun) error {
	return s.noted(runID, false, func(n *note) {
		i := slices.IndexFunc(n.tasks, func(t view.TaskRun) bool { return t.Number == task.Number })
		if n.tasks == nil {
			n.tasks = make([]view.TaskRun, 0, usualTasks)
		}
		if i < 0 {
			n.tasks = append(n.tasks, task)
			return
		}
		n.tasks[i] = task
	})
}

func (s *Store) noted(runID string, bounded bool, change func(*note)) error {
	if !s.queue.note(runID, bounded, change) {
		return errClosed
	}
	return nil
}

// writeNote writes n. The tasks of a run are in its own row if all of them are in n, and
// have rows of their own otherwise. The writer alone calls it.
func (s *Store) writeNote(tx *sql.Tx, n *note) error {
	if n.over() && !s.parted[n.runID] {
		n.run.Tasks = n.tasks
	} else if err := s.writeTasks(tx, n); err != nil {
		return err
	}
	if n.over() {
		delete(s.parted, n.runID)
	}
	if n.run == nil {
		return nil
	}
	body, err := encode(*n.run)
	if err != nil {
		s.log.Error("a run is not in the history", "run", n.runID, "error", err)
		return nil // what others did is
	}
	return s.put(tx, *n.run, body)
}

func (s *Store) writeTasks(tx *sql.Tx, n *note) error {
	for _, task := range n.tasks {
		s.parted[n.runID] = true
		body, err := json.Marshal(task)
		if err != nil {
			s.log.Error("a task is not in the history", "run", n.runID, "task", task.TaskID, "error", err)
			continue
		}
		if err := s.putTask(tx, n.runID, task.Number, body); err != nil {
			return err
		}
	}
	return nil
}
