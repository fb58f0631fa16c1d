package history

import (
	"database/sql"
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
func (s *Store) Due(job, text string, at time.Time, durable bool) {
	_ = s.tell(func(tx *sql.Tx) error { // commit has logged it
		if _, err := tx.Exec(`DELETE FROM due WHERE job = ? AND schedule <> ?`, job, text); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT OR REPLACE INTO due (job, schedule, at) VALUES (?, ?, ?)`, job, text, at.UnixMilli())
		return err
	}, durable, durable)
}
