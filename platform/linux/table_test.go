//go:build linux

package linux

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// counted is a table of words, and how often it was read.
func counted(path string) (*table[string], *int) {
	reads := new(int)
	return newTable(path, func(line string) (string, bool) {
		*reads++
		return line, line != ""
	}), reads
}

// settle makes a file's last change old enough to be believed, by the time that the
// kernel stamps.
func settle(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	must(t, err)
	for until := info.ModTime().Add(2 * settled); time.Now().Before(until); {
		time.Sleep(settled / 4)
	}
}

func TestATableIsReadOnceAsLongAsItIsTheSame(t *testing.T) {
	path := filepath.Join(t.TempDir(), "table")
	must(t, os.WriteFile(path, []byte("one\r\n\ntwo"), 0o644))
	settle(t, path)
	table, reads := counted(path)
	for range 3 {
		got, err := table.all()
		if err != nil || !slices.Equal(got, []string{"one", "two"}) {
			t.Fatalf("%q, %v", got, err)
		}
	}
	if *reads != 3 { // one reading of three lines
		t.Errorf("%d lines were read, want 3", *reads)
	}
}

// Attack: a group is taken from somebody, and what was read before still says that they
// are in it. Each way of changing a file is seen a moment later, also one that leaves its length and its modification time as they were.
func TestEveryChangeOfATableIsSeen(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"written in place": func(path string) error { return os.WriteFile(path, []byte("new"), 0o644) },
		"another file in its place": func(path string) error {
			return errors.Join(os.WriteFile(path+"+", []byte("new"), 0o644), os.Rename(path+"+", path))
		},
		"with the time of before": func(path string) error {
			info, err := os.Stat(path)
			return errors.Join(err, os.WriteFile(path, []byte("new"), 0o644), os.Chtimes(path, info.ModTime(), info.ModTime()))
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "table")
			must(t, os.WriteFile(path, []byte("old"), 0o644))
			settle(t, path)
			table, _ := counted(path)
			if got, err := table.all(); err != nil || !slices.Equal(got, []string{"old"}) {
				t.Fatalf("%q, %v", got, err)
			}
			must(t, change(path))
			time.Sleep(moment)
			// At once, and again: the second change within one tick of the clock would
			// show in no stamp, so nothing is believed until the first has settled.
			for range 2 {
				if got, err := table.all(); err != nil || !slices.Equal(got, []string{"new"}) {
					t.Errorf("%q, %v; want what the file says now", got, err)
				}
			}
			must(t, os.WriteFile(path, []byte("yet"), 0o644))
			if got, err := table.all(); err != nil || !slices.Equal(got, []string{"yet"}) {
				t.Errorf("%q, %v; want what the file says now", got, err)
			}
		})
	}
}

func TestATableThatCannotBeRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "table")
	table, _ := counted(path)
	if _, err := table.all(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v, want fs.ErrNotExist", err)
	}
	must(t, os.WriteFile(path, []byte("one"), 0o644))
	settle(t, path)
	if got, err := table.all(); err != nil || len(got) != 1 {
		t.Fatalf("%q, %v", got, err)
	}
	must(t, os.WriteFile(path, []byte(strings.Repeat("x", maxLine+1)), 0o644))
	time.Sleep(moment)
	if got, err := table.all(); err == nil {
		t.Errorf("a line that is too long was read: %d entries", len(got))
	}
	must(t, os.Remove(path))
	if got, err := table.all(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%q, %v; what is not there any more says nothing", got, err)
	}
}
