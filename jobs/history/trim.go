package history

import "time"

const (
	// trimAfter is how long nothing was written before what is too much goes, and trimAtLast
	// how long it stays while there is always something. The first is well before a process
	// at rest gives memory back (core/idle), which nothing should need again soon.
	trimAfter  = 10 * time.Second
	trimAtLast = time.Minute
	// trimAnyway is how often what has become too old goes.
	trimAnyway = time.Hour
)

// trimming is when the history is shortened next.
type trimming struct {
	timer *time.Timer
	since time.Time // of the first change since it was shortened; zero if there is none
	aged  time.Time // when last what is too old went; zero if it never did
}

// newTrimming is that of a history that may be too long already.
func newTrimming() *trimming {
	return &trimming{timer: time.NewTimer(trimAfter), since: time.Now()}
}

// written says that something was written.
func (t *trimming) written() {
	if t.since.IsZero() {
		t.since = time.Now()
	}
	t.timer.Reset(min(trimAfter, max(0, trimAtLast-time.Since(t.since))))
}

// age says whether what is too old goes as well: to find that, all of the history is read.
func (t *trimming) age() bool { return t.aged.IsZero() || time.Since(t.aged) >= trimAnyway }

// done says that the history was shortened, and whether what is too old went. Nothing
// wakes a machine on which no job runs.
func (t *trimming) done(aged bool) {
	if aged {
		t.aged = time.Now()
	}
	t.since = time.Time{}
	t.timer.Reset(trimAnyway)
}

// trim drops the runs that are too old, if it is told to, and the oldest while there is too
// much. Runs that have no end stay.
func (s *Store) trim(now time.Time, age bool) error {
	const final = `state NOT IN ('queued', 'running')`
	drop := func(where string, args ...any) (int64, error) {
		if _, err := s.write.Exec(`DELETE FROM tasks WHERE run IN (SELECT id FROM runs WHERE `+where+`)`, args...); err != nil {
			return 0, err
		}
		result, err := s.write.Exec(`DELETE FROM runs WHERE `+where, args...)
		if err != nil {
			return 0, err
		}
		return result.RowsAffected()
	}
	if age {
		if _, err := drop(final+` AND created < ?`, now.Add(-s.limits.Age).UnixMilli()); err != nil {
			return err
		}
	}
	for {
		used, err := s.size()
		if err != nil {
			return err
		}
		if used <= s.limits.Bytes {
			break
		}
		n, err := drop(final + ` AND seq IN (SELECT seq FROM runs WHERE ` + final + ` ORDER BY seq LIMIT 1 + (SELECT count(*) FROM runs) / 20)`)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
	}
	_, err := s.write.Exec("PRAGMA incremental_vacuum")
	return err
}

// size is what the rows take, in bytes.
func (s *Store) size() (int64, error) {
	var pages, free, size int64
	err := s.write.QueryRow(`SELECT page_count, freelist_count, page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size`).Scan(&pages, &free, &size)
	return (pages - free) * size, err
}
