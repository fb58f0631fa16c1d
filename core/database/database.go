// Package database opens the SQLite files in which rooms keep what has to change as a
// whole. What is in a file, and what a damaged one costs, is the room's.
package database

import (
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	_ "modernc.org/sqlite" // the driver
)

// Open opens the file at path, making it 0600 if it is not there, with pragmas such as
// "cache_size(-256)" (https://www.sqlite.org/pragma.html). The result uses one
// connection, and touches the file when it is used first.
func Open(path string, pragmas ...string) (*sql.DB, error) {
	return open(path, url.Values{"_pragma": pragmas})
}

// OpenAlone is Open for a file that no other process can have open meanwhile. A
// commit is on the disk when it returns, and a transaction waits for its turn when it
// begins.
func OpenAlone(path string, pragmas ...string) (*sql.DB, error) {
	// In quotes: the driver sorts pragmas, and this one has to come before those that
	// look into the file. Else SQLite makes memory beside it (-shm) to share it by, and
	// takes locks there for each transaction.
	all := []string{"busy_timeout(2000)", `"locking_mode"(exclusive)`, "journal_mode(wal)", "synchronous(full)"}
	return open(path, url.Values{"_pragma": append(all, pragmas...), "_txlock": {"immediate"}})
}

func open(path string, query url.Values) (*sql.DB, error) {
	// The file is made here for its mode, which SQLite gives to the others that it
	// makes beside it: its own would follow the umask.
	made, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := made.Close(); err != nil {
		return nil, err
	}
	file := filepath.ToSlash(path)
	if !strings.HasPrefix(file, "/") {
		file = "/" + file // C:/...
	}
	where := url.URL{Scheme: "file", Path: file, RawQuery: query.Encode()}
	db, err := sql.Open("sqlite", where.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	return db, nil
}
