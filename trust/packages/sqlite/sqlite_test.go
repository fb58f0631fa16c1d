package sqlite

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// shell runs statements in SQLite's own shell.
func shell(t testing.TB, path, statements string) string {
	t.Helper()
	cmd := exec.Command("sqlite3", "-batch", path)
	cmd.Stdin = strings.NewReader(statements)
	out, err := cmd.CombinedOutput()
	if err != nil || bytes.Contains(out, []byte("rror")) {
		t.Fatalf("sqlite3: %v: %s", err, out)
	}
	return string(out)
}

const schema = `
CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL);
CREATE TABLE Names (key 'TEXT' NOT NULL, hnum INTEGER NOT NULL, idx INTEGER NOT NULL);
CREATE INDEX Names_key_idx ON Names(key ASC);
`

// fill makes packages of which some need many overflow pages, with names that
// come often, seldom, and are longer than a page.
const fill = `
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<400)
INSERT INTO Packages(blob) SELECT CAST(printf('%0*d', 1 + i*i/2, i) AS BLOB) FROM n;
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<400)
INSERT INTO Names SELECT CASE i%4 WHEN 0 THEN 'often' WHEN 1 THEN 'name'||i WHEN 2 THEN printf('%0*d', i*20, i) ELSE char(233)||i END, i, i-200 FROM n;
`

func database(t testing.TB, pragma, statements string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "db")
	shell(t, path, pragma+schema+statements)
	return path
}

func open(t testing.TB, path string) (*File, error) {
	t.Helper()
	db, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	wal, err := os.ReadFile(path + "-wal")
	if err != nil {
		return Open(bytes.NewReader(db), int64(len(db)), nil, 0)
	}
	return Open(bytes.NewReader(db), int64(len(db)), bytes.NewReader(wal), int64(len(wal)))
}

// dump reads everything that the product would ask for.
func dump(f *File, names []string) (string, error) {
	f.visits = 0
	packages, err := f.Table("Packages")
	if err != nil {
		return "", err
	}
	table, err := f.Table("Names")
	if err != nil {
		return "", err
	}
	index, err := f.Index("Names_key_idx")
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, name := range names {
		f.visits = 0
		ids, err := index.Find(name, 1000)
		if err != nil {
			return "", err
		}
		slices.Sort(ids)
		for _, id := range ids {
			f.visits = 0
			row, err := table.Row(id)
			if err != nil {
				return "", err
			}
			if len(row) != 3 || string(row[0].Bytes) != name {
				return "", fmt.Errorf("row %d of %q: %v", id, name, row)
			}
			pkg, err := packages.Row(row[1].Int)
			if err != nil {
				return "", err
			}
			if pkg == nil {
				continue
			}
			fmt.Fprintf(&b, "%s|%d|%d|%d|%d\n", name, row[1].Int, row[2].Int, len(pkg[1].Bytes), bytes.Count(pkg[1].Bytes, []byte("0")))
		}
	}
	return b.String(), nil
}

// question is dump, asked of SQLite.
const question = `SELECT key, Names.hnum, idx, length(blob), length(blob)-length(replace(CAST(blob AS TEXT),'0',''))
FROM Names JOIN Packages USING (hnum) ORDER BY `

func names(t testing.TB, path string) []string {
	t.Helper()
	out := strings.TrimSuffix(shell(t, path, "SELECT DISTINCT key FROM Names ORDER BY key;"), "\n")
	return append(strings.Split(out, "\n"), "", "no such name", "zzz", strings.Repeat("9", 10000))
}

func TestSQLiteReadsTheSame(t *testing.T) {
	for name, pragma := range map[string]string{
		"the default":   "",
		"small pages":   "PRAGMA page_size=512;",
		"middle pages":  "PRAGMA page_size=1024;",
		"large pages":   "PRAGMA page_size=65536;",
		"vacuum":        "PRAGMA auto_vacuum=FULL;",
		"after deletes": "-- deletes\n",
	} {
		statements := fill
		if name == "after deletes" {
			statements += "DELETE FROM Packages WHERE hnum%3=0; DELETE FROM Names WHERE hnum%5=0;" + fill
		}
		path := database(t, pragma, statements)
		all := names(t, path)
		want := shell(t, path, question+"key, Names.rowid;")
		f, err := open(t, path)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := dump(f, all)
		if err != nil || got != want {
			t.Errorf("%s: %v: %d bytes, expected %d", name, err, len(got), len(want))
		}
	}
}

// What was committed and not yet carried over counts; what was not committed,
// and what is left over from before, does not.
func TestTheWriteAheadLog(t *testing.T) {
	dir := t.TempDir()
	path, copied := filepath.Join(dir, "db"), filepath.Join(dir, "copy")
	snapshot := "\n.system cp " + path + " " + copied + "\n.system cp " + path + "-wal " + copied + "-wal\n"
	read := func(what string) string {
		t.Helper()
		f, err := open(t, copied)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		got, err := dump(f, []string{"a", "b", "c", "often"})
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		return got
	}
	const wal = "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0;"
	insert := func(name string) string {
		return "INSERT INTO Packages(blob) VALUES(zeroblob(9000)); INSERT INTO Names VALUES('" + name + "', 1, 2);"
	}
	shell(t, path, wal+schema+insert("a")+snapshot)
	if got := read("one"); got != "a|1|2|9000|0\n" {
		t.Errorf("committed: %q", got)
	}
	// A transaction that is written in part, because the cache is too small.
	shell(t, path, wal+"PRAGMA cache_size=2; PRAGMA cache_spill=1; BEGIN;"+insert("b")+fill+snapshot+"ROLLBACK;")
	if info, err := os.Stat(copied + "-wal"); err != nil || info.Size() < 100000 {
		t.Fatalf("nothing was written early: %v, %v", info, err)
	}
	if got := read("rollback"); got != "a|1|2|9000|0\n" {
		t.Errorf("not committed: %q", got)
	}
	// Carried over, and the log begun anew over old frames.
	shell(t, path, wal+fill+"PRAGMA wal_checkpoint(RESTART);"+insert("c")+snapshot)
	if got := read("restart"); !strings.Contains(got, "c|1|2|9000|0\n") || strings.Contains(got, "b|") || strings.Count(got, "often|") != 100 {
		t.Errorf("begun anew: %q", got)
	}
	// A frame that a crash has torn ends the log.
	shell(t, path, wal+insert("b")+snapshot)
	log, err := os.ReadFile(copied + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(read("whole"), "b|") {
		t.Error("b is not there")
	}
	for _, torn := range [][]byte{log[:len(log)-1], append(slices.Clone(log[:len(log)-1]), log[len(log)-1]^1)} {
		if err := os.WriteFile(copied+"-wal", torn, 0o600); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(read("torn"), "b|") {
			t.Error("a torn transaction counts")
		}
	}
	for name, log := range map[string][]byte{"empty": {}, "short": log[:10], "zeros": make([]byte, 5000), "header alone": log[:32]} {
		if err := os.WriteFile(copied+"-wal", log, 0o600); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(read(name), "b|") {
			t.Errorf("%s: the database has what only the log has", name)
		}
	}
}

// A database that is not one is an error, soon, and no more.
func TestMalformed(t *testing.T) {
	path := database(t, "", fill)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	change := func(f func(b []byte)) []byte {
		b := slices.Clone(good)
		f(b)
		return b
	}
	root := func(table string) uint32 {
		f, err := Open(bytes.NewReader(good), int64(len(good)), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		kind := "table"
		if strings.HasSuffix(table, "idx") {
			kind = "index"
		}
		n, err := f.schema(kind, table)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	at := func(table string) int { return int(root(table)-1) * 4096 }
	names, index := at("Names"), at("Names_key_idx")
	utf16 := filepath.Join(t.TempDir(), "utf16")
	shell(t, utf16, "PRAGMA encoding='UTF-16';"+schema)
	wide, err := os.ReadFile(utf16)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"nothing":                  nil,
		"a header alone":           good[:100],
		"half":                     good[:len(good)/2],
		"half a page":              good[:len(good)-2000],
		"another magic":            change(func(b []byte) { b[0] = 's' }),
		"pages of 1 KB":            change(func(b []byte) { b[16] = 4 }),
		"pages of 3000 bytes":      change(func(b []byte) { binary.BigEndian.PutUint16(b[16:], 3000) }),
		"pages of no bytes":        change(func(b []byte) { binary.BigEndian.PutUint16(b[16:], 0) }),
		"all reserved":             change(func(b []byte) { binary.BigEndian.PutUint16(b[16:], 512); b[20] = 255 }),
		"other fractions":          change(func(b []byte) { b[21] = 65 }),
		"a version to come":        change(func(b []byte) { b[19] = 3 }),
		"UTF-16":                   wide,
		"no schema":                change(func(b []byte) { clear(b[100:4096]) }),
		"a schema of ones":         change(func(b []byte) { copy(b[100:], bytes.Repeat([]byte{255}, 3996)) }),
		"a root of the wrong kind": change(func(b []byte) { b[names] = leafIndex }),
		"too many cells":           change(func(b []byte) { binary.BigEndian.PutUint16(b[index+3:], 65535) }),
		"a cell outside":           change(func(b []byte) { binary.BigEndian.PutUint16(b[index+12:], 4095) }),
		"an index that is its own child": change(func(b []byte) {
			for i := range int(binary.BigEndian.Uint16(b[index+3:])) {
				cell := index + int(binary.BigEndian.Uint16(b[index+12+2*i:]))
				binary.BigEndian.PutUint32(b[cell:], root("Names_key_idx"))
			}
			binary.BigEndian.PutUint32(b[index+8:], root("Names_key_idx"))
		}),
		"a table that is its own child": change(func(b []byte) {
			for i := range int(binary.BigEndian.Uint16(b[names+3:])) {
				cell := names + int(binary.BigEndian.Uint16(b[names+12+2*i:]))
				binary.BigEndian.PutUint32(b[cell:], root("Names"))
			}
			binary.BigEndian.PutUint32(b[names+8:], root("Names"))
		}),
	} {
		f, err := Open(bytes.NewReader(data), int64(len(data)), nil, 0)
		if err == nil {
			_, err = dump(f, []string{"often", "name1", "zzz"})
		}
		if !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	failing := errors.New("the disk is gone")
	if _, err := Open(broken{failing}, 1<<20, nil, 0); !errors.Is(err, failing) {
		t.Errorf("unreadable: %v", err)
	}
}

type broken struct{ err error }

func (b broken) ReadAt([]byte, int64) (int, error) { return 0, b.err }

func TestTooManyRowsAreAnError(t *testing.T) {
	f, err := open(t, database(t, "", fill))
	if err != nil {
		t.Fatal(err)
	}
	index, err := f.Index("Names_key_idx")
	if err != nil {
		t.Fatal(err)
	}
	if ids, err := index.Find("often", 99); !errors.Is(err, ErrMalformed) {
		t.Errorf("%d, %v", len(ids), err)
	}
	if ids, err := index.Find("often", 100); err != nil || len(ids) != 100 {
		t.Errorf("%d, %v", len(ids), err)
	}
}

func FuzzOpen(f *testing.F) {
	for _, pragma := range []string{"PRAGMA page_size=512;", "PRAGMA page_size=512; PRAGMA auto_vacuum=FULL;"} {
		path := database(f, pragma, "INSERT INTO Packages(blob) VALUES(zeroblob(3000)); INSERT INTO Names VALUES('often', 1, 2), ('x', -1, 70000);")
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data, []byte{})
	}
	path := filepath.Join(f.TempDir(), "db")
	shell(f, path, "PRAGMA page_size=512; PRAGMA journal_mode=WAL;"+schema+".system cp "+path+"-wal "+path+"2\n")
	db, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	wal, err := os.ReadFile(path + "2")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(db, wal)
	f.Fuzz(func(t *testing.T, db, wal []byte) {
		file, err := Open(bytes.NewReader(db), int64(len(db)), bytes.NewReader(wal), int64(len(wal)))
		if err == nil {
			_, err = dump(file, []string{"often", "x", ""})
		}
		_ = err // any error will do: what counts is that there is an end, without a panic
	})
}

func BenchmarkFind(b *testing.B) {
	path := database(b, "", `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<200000) INSERT INTO Names SELECT 'name'||i, i/100, i FROM n;
INSERT INTO Packages(blob) VALUES(zeroblob(100000));`)
	db, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	info, err := db.Stat()
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		f, err := Open(db, info.Size(), nil, 0)
		if err != nil {
			b.Fatal(err)
		}
		got, err := dump(f, []string{"name12345"})
		if err != nil || got != "" {
			b.Fatal(got, err)
		}
		packages, err := f.Table("Packages")
		if err != nil {
			b.Fatal(err)
		}
		if row, err := packages.Row(1); err != nil || len(row[1].Bytes) != 100000 {
			b.Fatal(row, err)
		}
	}
}
