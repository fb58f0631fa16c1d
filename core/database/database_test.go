package database

import (
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
)

func exec(t *testing.T, db *sql.DB, text string) {
	t.Helper()
	if _, err := db.Exec(text); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

// A name means that name, whatever stands for something else in a URL; what lies there
// is for its owner alone, and so is what SQLite makes beside it.
func TestTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a %41?b#c.db")
	db, err := OpenAlone(path)
	if err != nil {
		t.Fatal(err)
	}
	exec(t, db, `CREATE TABLE t (x)`)
	for _, suffix := range []string{"", "-wal"} {
		info, err := os.Stat(path + suffix)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%q: %v, %v", suffix, info, err)
		}
	}
	if _, err := db.Exec(`PRAGMA busy_timeout = 0`); err != nil {
		t.Fatal(err)
	}
	second, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := second.Exec(`INSERT INTO t VALUES (1)`); err == nil {
		t.Error("a second one has it open as well")
	}
	for _, db := range []*sql.DB{second, db} {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}

// What a pragma looks up in the file is looked up by whoever has it alone: else SQLite
// makes memory beside it, to share it by, and locks there for each transaction.
func TestNothingIsShared(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	for range 2 { // a new file, and one that is there
		db, err := OpenAlone(path, "cache_size(-64)")
		if err != nil {
			t.Fatal(err)
		}
		exec(t, db, `CREATE TABLE IF NOT EXISTS t (x)`)
		exec(t, db, `INSERT INTO t VALUES (1)`)
		if _, err := os.Stat(path + "-shm"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("there is memory to share it by: %v", err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPragmas(t *testing.T) {
	db, err := OpenAlone(filepath.Join(t.TempDir(), "db"), "secure_delete(on)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "locking_mode": "exclusive", "secure_delete": "1"} {
		var got string
		if err := db.QueryRow(`PRAGMA ` + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s is %s, %v; want %s", pragma, got, err, want)
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "none", "db")); err == nil {
		t.Error("in a directory that is not there")
	}
}
