package database

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
)

// Later is a file of OpenAlone that is made when something is first kept in it. Most
// machines never keep anything in some of theirs, and to have SQLite open a file is a
// fiftieth of a start. Its methods are safe for concurrent use.
type Later struct {
	path, schema string
	pragmas      []string

	mu     sync.Mutex
	db     *sql.DB // nil while there is no file
	closed bool
}

// OpenLater opens the file at path if it is there. schema makes what tables there are,
// unless they are there already.
func OpenLater(path, schema string, pragmas ...string) (*Later, error) {
	l := &Later{path: path, schema: schema, pragmas: pragmas}
	switch _, err := os.Lstat(path); {
	case errors.Is(err, fs.ErrNotExist):
		return l, nil
	case err != nil:
		return nil, err
	}
	_, err := l.Write()
	return l, err
}

// Read returns the database to read from; nil if nothing has ever been kept in it.
func (l *Later) Read() *sql.DB {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.db
}

// Write returns the database to write to.
func (l *Later) Write() (*sql.DB, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.db != nil {
		return l.db, nil
	}
	if l.closed { // somebody else may have it open by now
		return nil, fmt.Errorf("%s: %w", l.path, fs.ErrClosed)
	}
	db, err := OpenAlone(l.path, l.pragmas...)
	if err != nil {
		return nil, err
	}
	if _, err := db.Exec(l.schema); err != nil {
		return nil, fmt.Errorf("make its tables: %w", errors.Join(err, db.Close()))
	}
	l.db = db
	return db, nil
}

// Close closes the file, if there is one. None is made any more.
func (l *Later) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	if l.db == nil {
		return nil
	}
	return l.db.Close()
}
