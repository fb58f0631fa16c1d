package store

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"kpm/core"
	"kpm/core/database"
	"kpm/core/strictjson"
)

// maxPerPlugin bounds the stored settings of one plugin.
const maxPerPlugin = 1024

// ErrTooMany means that a plugin has as many stored settings as it may.
var ErrTooMany = core.NewError(core.TooMany, fmt.Sprintf("the plugin has %d stored settings already", maxPerPlugin))

// Names of plugins and keys are folded; what somebody has written is in the body.
const schema = `
CREATE TABLE IF NOT EXISTS settings (plugin TEXT NOT NULL, name TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (plugin, name));
CREATE TABLE IF NOT EXISTS good (path TEXT PRIMARY KEY, sha256 TEXT NOT NULL, contents BLOB, accepted_by TEXT NOT NULL, accepted_at TEXT NOT NULL);
`

// Value is one stored setting.
type Value struct {
	Plugin string `json:"plugin"` // as it was put
	Key    string `json:"key"`
	// Text is the value, or with Sealed what the machine key has made of it.
	Text   []byte    `json:"text"`
	Sealed bool      `json:"sealed,omitempty"`
	By     string    `json:"by"` // the principal's name
	At     time.Time `json:"at"`
}

// Store is the open file.
type Store struct{ db *sql.DB }

// Open opens the file at path, making it 0600 if it is not there. One process
// has it open at a time.
func Open(path string) (*Store, error) {
	s, err := open(path)
	if err != nil {
		return nil, fmt.Errorf("store: open %s: %w", path, err)
	}
	return s, nil
}

func open(path string) (*Store, error) {
	db, err := database.OpenAlone(path, "secure_delete(on)", "cache_size(-256)") // what is forgotten is overwritten
	if err != nil {
		return nil, err
	}
	if _, err := db.Exec(schema); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Store{db}, nil
}

// Close closes the file.
func (s *Store) Close() error {
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("store: close: %w", err)
	}
	return nil
}

// update runs f in one transaction. When it returns nil, all of it is durable;
// otherwise nothing has changed.
func (s *Store) update(what string, f func(*sql.Tx) error) error {
	tx, err := s.db.Begin()
	if err != nil {
		return fmt.Errorf("store: %s: %w", what, err)
	}
	defer func() { _ = tx.Rollback() }() // nothing after Commit
	if err = f(tx); err == nil {
		err = tx.Commit()
	}
	if err != nil {
		return fmt.Errorf("store: %s: %w", what, err)
	}
	return nil
}

// each calls row for each row that query finds.
func (s *Store) each(what string, row func(*sql.Rows) error, query string, args ...any) (err error) {
	rows, err := s.db.Query(query, args...)
	if err != nil {
		return fmt.Errorf("store: %s: %w", what, err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := row(rows); err != nil {
			return fmt.Errorf("store: %s: %w", what, err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("store: %s: %w", what, err)
	}
	return nil
}

// put keeps v in place of what was stored under its key, and under instead if
// that is not empty.
func (s *Store) put(v Value, instead string) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("store: put: %w", err)
	}
	plugin, name := strictjson.Fold(v.Plugin), strictjson.Fold(v.Key)
	return s.update("put", func(tx *sql.Tx) error {
		if _, err := tx.Exec(`DELETE FROM settings WHERE plugin = ? AND name IN (?, ?)`, plugin, name, strictjson.Fold(instead)); err != nil {
			return err
		}
		var others int
		if err := tx.QueryRow(`SELECT count(*) FROM settings WHERE plugin = ?`, plugin).Scan(&others); err != nil {
			return err
		}
		if others >= maxPerPlugin {
			return ErrTooMany
		}
		_, err := tx.Exec(`INSERT INTO settings (plugin, name, body) VALUES (?, ?, ?)`, plugin, name, body)
		return err
	})
}

// settings returns what is stored of one plugin, or of all if plugin is empty.
func (s *Store) settings(plugin string) (list []Value, err error) {
	err = s.each("read", func(rows *sql.Rows) error {
		var body []byte
		if err := rows.Scan(&body); err != nil {
			return err
		}
		var v Value
		if err := json.Unmarshal(body, &v); err != nil {
			return err
		}
		list = append(list, v)
		return nil
	}, `SELECT body FROM settings WHERE plugin = ?1 OR ?1 = '' ORDER BY plugin, name`, strictjson.Fold(plugin))
	return list, err
}

// forget drops what is stored of one plugin.
func (s *Store) forget(plugin string) error {
	return s.update("revert", func(tx *sql.Tx) error {
		_, err := tx.Exec(`DELETE FROM settings WHERE plugin = ?`, strictjson.Fold(plugin))
		return err
	})
}
