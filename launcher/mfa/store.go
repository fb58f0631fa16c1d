package mfa

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"kpm/core"
	"kpm/core/database"
)

const schema = `CREATE TABLE IF NOT EXISTS factors (user TEXT PRIMARY KEY, body BLOB NOT NULL)`

// record is everything of one person.
type record struct {
	UserID core.UserID `json:"userId"`
	User   string      `json:"user"` // as it was called then
	By     string      `json:"by"`   // the principal's name
	At     time.Time   `json:"at"`
	// Secret is what the machine key has made of it.
	Secret []byte `json:"secret"`
	// Recovery are the digests of the codes that have not been used.
	Recovery [][]byte `json:"recovery"`
	// Step is the last one of which a code was accepted: it and those before are
	// not accepted again.
	Step uint64 `json:"step"`
	// Wrong counts the wrong codes since the last right one, or lock-out.
	Wrong int `json:"wrong,omitempty"`
	// Locked is when too many wrong codes have locked the person out; zero if
	// that is over, or never was.
	Locked time.Time `json:"locked,omitzero"`
}

// store is the file, which is there once somebody has enrolled.
type store struct{ file *database.Later }

// openStore opens the file at path.
func openStore(path string) (*store, error) {
	file, err := database.OpenLater(path, schema, "secure_delete(on)", "cache_size(-64)") // what is removed is overwritten
	if err != nil {
		return nil, fmt.Errorf("mfa: open %s: %w", path, err)
	}
	return &store{file}, nil
}

// get returns a person's record, ErrNotEnrolled if there is none.
func (s *store) get(user core.UserID) (r record, err error) {
	var body []byte
	err = sql.ErrNoRows
	if db := s.file.Read(); db != nil {
		err = db.QueryRow(`SELECT body FROM factors WHERE user = ?`, string(user)).Scan(&body)
	}
	if errors.Is(err, sql.ErrNoRows) {
		return r, fmt.Errorf("mfa: read: %w", ErrNotEnrolled)
	}
	if err == nil {
		err = json.Unmarshal(body, &r)
	}
	if err != nil {
		return r, fmt.Errorf("mfa: read: %w", err)
	}
	return r, nil
}

// put replaces a person's record. When it returns nil that is durable.
func (s *store) put(r record) error {
	body, err := json.Marshal(r)
	var db *sql.DB
	if err == nil {
		db, err = s.file.Write()
	}
	if err == nil {
		_, err = db.Exec(`INSERT INTO factors (user, body) VALUES (?, ?) ON CONFLICT (user) DO UPDATE SET body = excluded.body`, string(r.UserID), body)
	}
	if err != nil {
		return fmt.Errorf("mfa: write: %w", err)
	}
	return nil
}

func (s *store) remove(user core.UserID) error {
	db := s.file.Read()
	if db == nil {
		return nil
	}
	if _, err := db.Exec(`DELETE FROM factors WHERE user = ?`, string(user)); err != nil {
		return fmt.Errorf("mfa: remove: %w", err)
	}
	return nil
}

// all returns the records in order of user ids.
func (s *store) all() (list []record, err error) {
	db := s.file.Read()
	if db == nil {
		return nil, nil
	}
	rows, err := db.Query(`SELECT body FROM factors ORDER BY user`)
	if err != nil {
		return nil, fmt.Errorf("mfa: read: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		var body []byte
		var r record
		if err := rows.Scan(&body); err != nil {
			return nil, fmt.Errorf("mfa: read: %w", err)
		}
		if err := json.Unmarshal(body, &r); err != nil {
			return nil, fmt.Errorf("mfa: read: %w", err)
		}
		list = append(list, r)
	}
	return list, rows.Err()
}
