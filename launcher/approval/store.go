package approval

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"kpm/core/database"

	"modernc.org/sqlite"
)

const schema = `CREATE TABLE IF NOT EXISTS approvals (id TEXT PRIMARY KEY, body BLOB NOT NULL)`

// What SQLite answers about a file that is none of its own, or damaged
// (https://www.sqlite.org/rescode.html).
const (
	codeCorrupt  = 11
	codeNotADB   = 26
	primaryCodes = 0xff // the other bits say more exactly what it was
)

// errDamaged is wrapped where a record cannot be understood.
var errDamaged = errors.New("a record cannot be read")

// store is the file, which is there once somebody has asked. Every change is on the disk
// before it is acknowledged: after kill -9 at any moment, or a power loss, what was
// acknowledged is there, and nothing half.
type store struct{ file *database.Later }

// openStore opens the file at path. One that is none is moved aside: what was approved
// has to be approved anew then, and nothing is by mistake.
func openStore(path string, now time.Time, log *slog.Logger) (*store, []Record, error) {
	s, list, err := readStore(path)
	if err == nil || !damaged(err) {
		return s, list, err
	}
	aside := fmt.Sprintf("%s.broken-%d", path, now.Unix())
	log.Error("the approvals cannot be read; none is in force", "file", path, "moved_to", aside, "error", err)
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if moved := os.Rename(path+suffix, aside+suffix); moved != nil && !errors.Is(moved, os.ErrNotExist) {
			return nil, nil, errors.Join(err, moved)
		}
	}
	return readStore(path)
}

// damaged reports whether err says that the file is none of ours. Anything else may
// pass, and is no reason to forget what is in it.
func damaged(err error) bool {
	var said *sqlite.Error
	if errors.As(err, &said) {
		code := said.Code() & primaryCodes
		return code == codeCorrupt || code == codeNotADB
	}
	return errors.Is(err, errDamaged)
}

func readStore(path string) (s *store, list []Record, err error) {
	file, err := database.OpenLater(path, schema, "cache_size(-256)")
	if err != nil {
		return nil, nil, err
	}
	if db := file.Read(); db != nil {
		list, err = records(db)
	}
	if err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	return &store{file}, list, nil
}

func records(db *sql.DB) (list []Record, err error) {
	rows, err := db.Query(`SELECT id, body FROM approvals`)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var id string
		var body []byte
		if err := rows.Scan(&id, &body); err != nil {
			return nil, err
		}
		var r Record
		if err := json.Unmarshal(body, &r); err != nil || r.ID != id {
			return nil, fmt.Errorf("%s: %w", id, errors.Join(errDamaged, err))
		}
		list = append(list, r)
	}
	return list, rows.Err()
}

// put keeps r, and drops others, in one transaction.
func (s *store) put(r *Record, drop ...string) error {
	body, err := json.Marshal(r)
	if err != nil {
		return err
	}
	db, err := s.file.Write()
	if err != nil {
		return err
	}
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // nothing after Commit
	for _, id := range drop {
		if _, err := tx.Exec(`DELETE FROM approvals WHERE id = ?`, id); err != nil {
			return err
		}
	}
	if _, err := tx.Exec(`INSERT OR REPLACE INTO approvals (id, body) VALUES (?, ?)`, r.ID, body); err != nil {
		return err
	}
	return tx.Commit()
}

func (s *store) close() error { return s.file.Close() }
