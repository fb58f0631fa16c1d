package history

import (
	"database/sql"
	"slices"
	"time"

	"kpm/jobs/schedule"
)

var _ schedule.Memory = (*Store)(nil)

// LastDue implements schedule.Memory.
func (s *Store) LastDue(job, text string) (time.Time, bool) {
	var at int64
	if err := s.read.QueryRow(`SELECT at FROM due WHERE job = ? AND schedule = ?`, job, text).Scan(&at); err != nil {
		return time.Time{}, false
	}
	return time.UnixMilli(at), true
}

// Due implements schedule.Memory. What cannot be written is in the log: a job may then
// run again, or a missed time be forgotten, after a restart.
func (s *Store) Due(times ...schedule.Due) {
	_ = s.tell(func(tx *sql.Tx) error { return s.remember(tx, times) }, false, once(times)) // commit logs it
}

func (s *Store) remember(tx *sql.Tx, times []schedule.Due) error {
	for _, d := range times {
		if _, err := tx.Stmt(s.dropDue).Exec(d.Job, d.Schedule); err != nil {
			return err
		}
		if _, err := tx.Stmt(s.putDue).Exec(d.Job, d.Schedule, d.At.UnixMilli(), schedule.Correction.Milliseconds()); err != nil {
			return err
		}
	}
	return nil
}

// once reports whether a loss of power would have a job run again that runs once.
func once(times []schedule.Due) bool {
	return slices.ContainsFunc(times, func(d schedule.Due) bool { return d.Once })
}
