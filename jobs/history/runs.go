package history

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"kpm/core"
	"kpm/core/view"
	"kpm/jobs/schedule"
	"kpm/jobs/state"
)

// ErrUnknown is returned for a run that the history does not have, or no longer.
var ErrUnknown = core.NewError(core.NotFound, "no such run: it never was, or has been dropped since")

// ErrFilter is wrapped for a page that cannot be asked for.
var ErrFilter = core.NewError(core.Invalid, "no such page of the history")

// MaxPage is the greatest length of a page.
const MaxPage = 1000

// Save keeps run as it is now, without its tasks, and with it that its schedule was due.
// When it returns without an error both survive the service. A run that is queued replaces
// nothing: who queued it says so beside the run itself, which may have begun, or ended, by
// then.
func (s *Store) Save(run view.JobRun, due ...schedule.Due) error { return s.save(run, due, true) }

func (s *Store) save(run view.JobRun, due []schedule.Due, wait bool) error {
	run.Tasks = nil // each has a row of its own
	body, err := encode(run)
	if err != nil {
		return err
	}
	change := func(tx *sql.Tx) error { return errors.Join(s.put(tx, run, body), s.remember(tx, due)) }
	return s.enqueue(operation{change: change, durable: once(due), bounded: bounded(run)}, wait)
}

// put writes a run. The one that it stands for needs nothing more.
func (s *Store) put(tx *sql.Tx, run view.JobRun, body []byte) error {
	_, err := tx.Stmt(s.putRun).Exec(run.ID, run.JobID, run.State, run.Trigger.Kind, run.Trigger.Event, run.CreatedAt.UnixMilli(), string(body))
	if err == nil && run.Trigger.Kind == rerun {
		err = settle(tx, run.ParentID)
	}
	return err
}

// bounded reports whether a record is of a run that waits: of these there are so many
// and no more.
func bounded(run view.JobRun) bool { return run.State == string(state.Queued) }

// SaveTask keeps a task of a run as it is now. It does not wait: the run's next Save
// returns after it was written.
func (s *Store) SaveTask(runID string, task view.TaskRun) error {
	body, err := json.Marshal(task)
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	return s.tell(func(tx *sql.Tx) error { return s.putTask(tx, runID, task.Number, body) }, false, false)
}

func (s *Store) putTask(tx *sql.Tx, runID string, number int, body []byte) error {
	_, err := tx.Stmt(s.taskRow).Exec(runID, number, string(body))
	return err
}

// maxContext bounds what is kept of one context, in bytes of JSON; of a longer one, the
// names alone.
const maxContext = 64 << 10

func encode(run view.JobRun) ([]byte, error) {
	// The contexts are encoded once, to be measured and to be kept.
	body, err := json.Marshal(struct {
		view.JobRun
		ContextIn  json.RawMessage `json:"contextIn,omitempty"`
		ContextOut json.RawMessage `json:"contextOut,omitempty"`
	}{run, keptContext(run.ContextIn), keptContext(run.ContextOut)})
	if err != nil {
		return nil, fmt.Errorf("history: %w", err)
	}
	return body, nil
}

func keptContext(context map[string]any) json.RawMessage {
	if len(context) == 0 {
		return nil
	}
	data, err := json.Marshal(context)
	if err == nil && len(data) <= maxContext {
		return data
	}
	names := map[string]any{}
	for name := range context {
		names[name] = view.NotKept
	}
	data, _ = json.Marshal(names) // strings
	return data
}

// rerun is the trigger of a run that stands for one that was cut off.
const rerun = "rerun"

// Settle says that nothing more is to be done about a run that was cut off. A run that
// stands for it says so with its first record, so that it comes once, and not never.
func (s *Store) Settle(runID string) error {
	return s.tell(func(tx *sql.Tx) error { return settle(tx, runID) }, false, false)
}

func settle(tx *sql.Tx, runID string) error {
	_, err := tx.Exec(`DELETE FROM cut_off WHERE run = ?`, runID)
	return err
}

// interrupt marks the runs without an end, and returns those that are to be dealt with.
func interrupt(tx *sql.Tx, now time.Time) ([]view.JobRun, error) {
	open, err := scan(tx.Query(`SELECT seq, body FROM runs WHERE state IN ('queued', 'running') ORDER BY seq`))
	if err != nil {
		return nil, err
	}
	for i := range open {
		run := &open[i].run
		next, _ := state.After(state.State(run.State), state.Crash)
		run.State, run.EndedAt = string(next), now.UTC()
		run.Reason = "the service ended while the run was under way"
		body, err := encode(*run)
		if err != nil {
			return nil, err
		}
		if _, err := tx.Exec(`UPDATE runs SET state = ?, body = ? WHERE seq = ?`, run.State, string(body), open[i].seq); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(`UPDATE tasks SET body = json_set(body, '$.state', 'interrupted') WHERE run = ? AND json_extract(body, '$.state') = 'running'`, run.ID); err != nil {
			return nil, err
		}
		if _, err := tx.Exec(`INSERT OR IGNORE INTO cut_off (run) VALUES (?)`, run.ID); err != nil {
			return nil, err
		}
	}
	all, err := scan(tx.Query(`SELECT seq, body FROM runs WHERE id IN (SELECT run FROM cut_off) ORDER BY seq`))
	if err != nil {
		return nil, err
	}
	list := make([]view.JobRun, len(all))
	for i := range all {
		list[i] = all[i].run
	}
	return list, nil
}

// row is a run with its place in the history.
type row struct {
	seq int64
	run view.JobRun
}

func scan(rows *sql.Rows, err error) ([]row, error) {
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []row
	for rows.Next() {
		var r row
		var body []byte
		if err := rows.Scan(&r.seq, &body); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(body, &r.run); err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, rows.Err()
}

// withoutTasks is the body of a run, without the tasks that it was noted with: all of
// their output is there. To take them out costs a seventh of reading them. What SQLite
// does not take for JSON, such as what is nested deeper than it reads, stays whole.
const withoutTasks = `CASE WHEN json_valid(body) THEN json_remove(body, '$.tasks') ELSE body END`

// Run returns one run with its tasks. The error may be ErrUnknown.
func (s *Store) Run(id string) (view.JobRun, error) {
	s.caughtUp()
	found, err := scan(s.read.Query(`SELECT seq, body FROM runs WHERE id = ?`, id))
	if err == nil && len(found) == 0 {
		err = ErrUnknown
	}
	if err != nil {
		return view.JobRun{}, fmt.Errorf("history: %s: %w", id, err)
	}
	run := found[0].run
	rows, err := s.read.Query(`SELECT body FROM tasks WHERE run = ? ORDER BY number`, id)
	if err != nil {
		return run, fmt.Errorf("history: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var body []byte
		var task view.TaskRun
		if err := errors.Join(rows.Scan(&body), json.Unmarshal(body, &task)); err != nil {
			return run, fmt.Errorf("history: %w", err)
		}
		run.Tasks = append(run.Tasks, task)
	}
	return run, rows.Err()
}

// Runs returns a page, newest first. Errors may wrap ErrFilter.
func (s *Store) Runs(f view.JobRunFilter) (view.JobRuns, error) {
	where, args := []string{"1"}, []any{}
	also := func(clause string, value any) { where, args = append(where, clause), append(args, value) }
	for _, text := range []struct{ value, clause string }{{f.JobID, "job = ?"}, {f.State, "state = ?"}, {f.Kind, "kind = ?"}, {f.Event, "event = ?"}} {
		if text.value != "" {
			also(text.clause, text.value)
		}
	}
	if !f.Since.IsZero() {
		also("created >= ?", f.Since.UnixMilli())
	}
	if !f.Until.IsZero() {
		also("created < ?", f.Until.UnixMilli())
	}
	if f.Before != "" {
		seq, err := strconv.ParseInt(f.Before, 10, 64)
		if err != nil {
			return view.JobRuns{}, fmt.Errorf("%w: before is %q, expected the next of an earlier page", ErrFilter, f.Before)
		}
		also("seq < ?", seq)
	}
	if f.Limit < 1 || f.Limit > MaxPage {
		return view.JobRuns{}, fmt.Errorf("%w: limit is %d, expected 1 to %d", ErrFilter, f.Limit, MaxPage)
	}
	s.caughtUp()
	list, err := scan(s.read.Query(`SELECT seq, `+withoutTasks+` FROM runs WHERE `+strings.Join(where, " AND ")+` ORDER BY seq DESC LIMIT ?`, append(args, f.Limit+1)...))
	if err != nil {
		return view.JobRuns{}, fmt.Errorf("history: %w", err)
	}
	page := view.JobRuns{Runs: []view.JobRun{}}
	for i, r := range list {
		if i == f.Limit {
			page.Next = strconv.FormatInt(list[i-1].seq, 10)
			break
		}
		r.run.Tasks = nil // of a run that SQLite left whole
		page.Runs = append(page.Runs, r.run)
	}
	return page, nil
}
