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

// There is no file before something is kept, and afterwards there is one at each start.
func TestAFileThatIsMadeLater(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	const schema = `CREATE TABLE IF NOT EXISTS t (x)`
	for kept := range 3 {
		l, err := OpenLater(path, schema)
		if err != nil {
			t.Fatal(err)
		}
		_, err = os.Lstat(path)
		if there := l.Read() != nil; there != (kept > 0) || there != (err == nil) {
			t.Errorf("with %d rows: open %t, %v", kept, there, err)
		}
		db, err := l.Write()
		if err != nil {
			t.Fatal(err)
		}
		exec(t, db, `INSERT INTO t VALUES (1)`)
		var rows int
		if err := l.Read().QueryRow(`SELECT count(*) FROM t`).Scan(&rows); err != nil || rows != kept+1 {
			t.Errorf("%d rows, %v; want %d", rows, err, kept+1)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// Whoever is late makes no file, which the next service may have open already.
func TestNoFileIsMadeAfterTheEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	l, err := OpenLater(path, `CREATE TABLE t (x)`)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Write(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("written to: %v", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is a file: %v", err)
	}
}

// One that cannot be made is tried again, and one that is no database is said at once.
func TestAFileThatCannotBeMade(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "none")
	l, err := OpenLater(filepath.Join(dir, "db"), `CREATE TABLE t (x)`)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Write(); err == nil || l.Read() != nil {
		t.Errorf("in a directory that is not there: %v", err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Write(); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	other := filepath.Join(dir, "other")
	if err := os.WriteFile(other, make([]byte, 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenLater(other, `CREATE TABLE t (x)`); err == nil {
		t.Error("what is no database is opened")
	}
}
