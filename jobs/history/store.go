package history

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"kpm/core/database"
	"kpm/core/view"
)

// Limits say how much is kept.
type Limits struct {
	Age   time.Duration // since a run was created
	Bytes int64         // of the database
}

// Store is the history. Its methods are safe for concurrent use.
type Store struct {
	limits Limits
	log    *slog.Logger
	write  *sql.DB // one connection, the writer's
	read   *sql.DB
	sync   *sql.DB       // one connection, by which what is written gets to the disk
	synced chan struct{} // holds one element while that is to be done
	// Statements of write: to take one apart costs more than to run it.
	putRun, taskRow, putDue, dropDue *sql.Stmt

	parted map[string]bool // runs that were noted before their end, with tasks; the writer's own
	queue  *queue
	done   chan struct{}
	cancel context.CancelFunc
}

// operation is one change. done is nil if nobody waits for it.
type operation struct {
	change  func(*sql.Tx) error
	note    *note // in place of change
	durable bool  // also over a loss of power, soon
	later   bool  // with others that come soon
	bounded bool  // what it belongs to is, so that it need not wait for room
	done    chan error
}

const schema = `
CREATE TABLE IF NOT EXISTS runs (
	seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, job TEXT NOT NULL COLLATE NOCASE,
	state TEXT NOT NULL, kind TEXT NOT NULL, event TEXT NOT NULL, created INTEGER NOT NULL, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS runs_job ON runs (job, seq);
CREATE INDEX IF NOT EXISTS runs_open ON runs (state) WHERE state IN ('queued', 'running');
CREATE TABLE IF NOT EXISTS tasks (run TEXT NOT NULL, number INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (run, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cut_off (run TEXT NOT NULL PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS due (job TEXT NOT NULL COLLATE NOCASE, schedule TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (job, schedule)) WITHOUT ROWID;
`

// Open opens the database at path, which it makes if there is none, and returns the runs
// that an earlier service was cut off in, which are marked as interrupted now: also those
// that it was to deal with when it was cut off itself (Settle). A file
// that is no such database is moved aside, and the log says so: that jobs run matters
// more than what they did.
func Open(path string, limits Limits, now time.Time, log *slog.Logger) (s *Store, cutOff []view.JobRun, err error) {
	s, cutOff, err = open(path, limits, now, log)
	if err == nil {
		return s, cutOff, nil
	}
	aside := fmt.Sprintf("%s.broken-%d", path, now.Unix())
	log.Error("the history of jobs cannot be read; a new one is begun", "file", path, "moved_to", aside, "error", err)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if moveErr := os.Rename(path+suffix, aside+suffix); moveErr != nil && !errors.Is(moveErr, os.ErrNotExist) {
			return nil, nil, fmt.Errorf("history: %w", errors.Join(err, moveErr))
		}
	}
	if s, cutOff, err = open(path, limits, now, log); err != nil {
		return nil, nil, fmt.Errorf("history: %w", err)
	}
	return s, cutOff, nil
}

func open(path string, limits Limits, now time.Time, log *slog.Logger) (*Store, []view.JobRun, error) {
	s := &Store{limits: limits, log: log, parted: map[string]bool{}, queue: newQueue(), done: make(chan struct{}), synced: make(chan struct{}, 1)}
	// WAL with synchronous=NORMAL: a commit survives the process at once, and a
	// loss of power may undo the last ones but breaks nothing.
	pragmas := []string{"journal_mode(wal)", "synchronous(normal)", "busy_timeout(5000)", "cache_size(-1024)"}
	// How a file gives room back is settled when its first table is made. To say it
	// again would write the file at each start, and wait for the disk.
	if info, err := os.Stat(path); err != nil || info.Size() == 0 {
		pragmas = append([]string{"auto_vacuum(incremental)"}, pragmas...)
	}
	for _, db := range []**sql.DB{&s.write, &s.read, &s.sync} {
		var err error
		*db, err = database.Open(path, pragmas...)
		if err != nil {
			return nil, nil, err
		}
	}
	cutOff, err := s.begin(now)
	if err == nil {
		s.putRun, err = s.write.Prepare(`INSERT INTO runs (id, job, state, kind, event, created, body) VALUES (?, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (id) DO UPDATE SET state = excluded.state, body = excluded.body WHERE excluded.state <> 'queued'`)
	}
	for _, statement := range []struct {
		into **sql.Stmt
		text string
	}{
		{&s.taskRow, `INSERT OR REPLACE INTO tasks (run, number, body) VALUES (?, ?, ?)`},
		{&s.dropDue, `DELETE FROM due WHERE job = ? AND schedule <> ?`},
		{&s.putDue, `INSERT INTO due (job, schedule, at) VALUES (?, ?, ?)
			ON CONFLICT (job, schedule) DO UPDATE SET at = excluded.at WHERE excluded.at > at OR excluded.at < at - ?`},
	} {
		if err == nil {
			*statement.into, err = s.write.Prepare(statement.text)
		}
	}
	if err != nil {
		return nil, nil, errors.Join(err, s.write.Close(), s.read.Close(), s.sync.Close())
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	go s.run(ctx)
	return s, cutOff, nil
}

// begin makes the tables and marks what an earlier service left without an end.
func (s *Store) begin(now time.Time) ([]view.JobRun, error) {
	if _, err := s.write.Exec(schema); err != nil {
		return nil, err
	}
	tx, err := s.write.Begin()
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback() }() // nothing after Commit
	cutOff, err := interrupt(tx, now)
	if err != nil {
		return nil, err
	}
	return cutOff, tx.Commit()
}

// Close writes what waits and closes the database.
func (s *Store) Close(context.Context) error {
	s.cancel()
	<-s.done
	return errors.Join(s.write.Close(), s.read.Close(), s.sync.Close())
}

// run writes, many changes at a time where many wait, until ctx is done.
func (s *Store) run(ctx context.Context) {
	defer close(s.done)
	var syncing sync.WaitGroup
	syncing.Go(s.flush)
	defer syncing.Wait()
	defer close(s.synced)
	trimming := newTrimming()
	defer trimming.timer.Stop()
	for {
		select {
		case <-s.queue.filled:
			s.commit(s.queue.batch())
			trimming.written()
		case <-trimming.timer.C:
			age := trimming.age()
			err := s.trim(time.Now(), age)
			if err != nil {
				s.log.Warn("the history of jobs cannot be shortened", "error", err)
			}
			trimming.done(age && err == nil)
		case <-ctx.Done():
			for rest := s.queue.close(); len(rest) > 0; rest = rest[min(len(rest), maxBatch):] {
				s.commit(rest[:min(len(rest), maxBatch)])
			}
			return
		}
	}
}

func (s *Store) commit(list []operation) {
	err := s.apply(list)
	if err != nil {
		s.log.Error("the history of jobs cannot be written", "changes", len(list), "error", err)
	}
	for _, op := range list {
		if op.done != nil {
			op.done <- err
		}
	}
}

func (s *Store) apply(list []operation) error {
	if len(list) == 0 { // what there is waits for more
		return nil
	}
	tx, err := s.write.Begin()
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing after Commit
	durable := false
	for _, op := range list {
		change := op.change
		if op.note != nil {
			change = func(tx *sql.Tx) error { return s.writeNote(tx, op.note) }
		}
		if err := change(tx); err != nil {
			return err
		}
		durable = durable || op.durable
	}
	if err := tx.Commit(); err != nil || !durable {
		return err
	}
	select {
	case s.synced <- struct{}{}:
	default: // it is to be done already
	}
	return nil
}

// flush has what was committed survive a loss of power, as often as that is asked for.
// Nobody waits for it: a disk may take longer than a job may be late.
func (s *Store) flush() {
	for range s.synced {
		if _, err := s.sync.Exec("PRAGMA wal_checkpoint(PASSIVE)"); err != nil { // which syncs the log
			s.log.Error("the history of jobs cannot be made durable", "error", err)
		}
	}
}

// caughtUp returns when what was told before is written, so that who reads finds it.
// What could not be written is in the log.
func (s *Store) caughtUp() {
	_ = s.tell(func(*sql.Tx) error { return nil }, true, false)
}

// tell has a change written. It waits for that if wait is set.
func (s *Store) tell(change func(*sql.Tx) error, wait, durable bool) error {
	return s.enqueue(operation{change: change, durable: durable}, wait)
}

func (s *Store) enqueue(op operation, wait bool) error {
	if wait {
		op.done = make(chan error, 1)
	}
	if !s.queue.put(op) {
		return errClosed
	}
	if !wait {
		return nil
	}
	return <-op.done // what was taken in is written, or said to be lost
}

var errClosed = errors.New("history: closed")
