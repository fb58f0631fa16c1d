package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// fullDisk takes room bytes and then a part of what it is given.
type fullDisk struct {
	file
	room *int
	// stuck also fails Truncate, as a disk that is gone does.
	stuck *bool
}

func (f fullDisk) Write(p []byte) (int, error) {
	if len(p) <= *f.room {
		*f.room -= len(p)
		return f.file.Write(p)
	}
	n, _ := f.file.Write(p[:*f.room])
	*f.room = 0
	return n, errors.New("no space left on device")
}

func (f fullDisk) Truncate(size int64) error {
	if *f.stuck {
		return errors.New("input/output error")
	}
	return f.file.Truncate(size)
}

func TestAFullDiskLeavesNoPartialLine(t *testing.T) {
	for _, stuck := range []bool{false, true} {
		t.Run(fmt.Sprint("truncate fails: ", stuck), func(t *testing.T) {
			cfg := config(t.TempDir())
			room, broken := 1<<20, stuck
			cfg.open = func(path string) (file, error) {
				f, err := openFile(path)
				return fullDisk{f, &room, &broken}, err
			}
			j, _ := opened(t, cfg)
			put(t, j, Record{Type: Opened, Request: "A"})
			room = 50
			for range 3 {
				if err := j.Append(Record{Type: Opened, Request: "B"}); !errors.Is(err, ErrUnavailable) {
					t.Fatalf("append on a full disk: %v", err)
				}
			}
			room, broken = 1<<20, false
			put(t, j, Record{Type: Opened, Request: "C"})
			var requests []string
			for _, r := range lines(t, cfg) {
				requests = append(requests, string(r.Request))
			}
			if got := strings.Join(requests, ","); got != ",,A,C" {
				t.Errorf("recorded %q", got)
			}
			verified(t, cfg)
		})
	}
}

func TestHowRequestsEndedIsWrittenWhenThereIsRoom(t *testing.T) {
	for _, next := range []Type{"", Opened} { // nobody does anything; the next request
		t.Run(string(next), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := config(t.TempDir())
				room, stuck := 1<<20, false
				cfg.open = func(path string) (file, error) {
					f, err := openFile(path)
					return fullDisk{f, &room, &stuck}, err
				}
				j, _, err := Open(cfg)
				if err != nil {
					t.Fatal(err)
				}
				defer j.Close()
				leave := func(bytes int) {
					j.mu.Lock() // nobody writes meanwhile
					defer j.mu.Unlock()
					room = bytes
				}
				put(t, j, Record{Type: Opened, Request: "A"}, Record{Type: Opened, Request: "B"})
				leave(0)
				then := time.Now().UTC()
				for _, r := range []Record{
					{Type: Ended, Request: "A", Millis: 7}, {Type: Left, Request: "A"}, {Type: Denied, Request: "B", Message: strings.Repeat("x", MaxLine)},
					{Type: Launching, Request: "B"}, {Type: Failed, Request: "B"},
				} {
					if err := j.Append(r); !errors.Is(err, ErrUnavailable) {
						t.Fatalf("append on a full disk: %v", err)
					}
				}
				time.Sleep(3 * headDelay)
				leave(150) // for a short record: not before those that are owed
				if err := j.Append(Record{Type: Control}); !errors.Is(err, ErrUnavailable) {
					t.Fatalf("append before what is owed: %v", err)
				}
				leave(1 << 20)
				expected := []Type{Segment, Start, Opened, Opened, Ended, Left, Failed}
				if next == "" {
					time.Sleep(headDelay)
					synctest.Wait()
				} else {
					put(t, j, Record{Type: next, Request: "C"})
					expected = append(expected, next)
				}
				all := lines(t, cfg)
				if diff := cmp.Diff(expected, types(all)); diff != "" {
					t.Fatal(diff)
				}
				if r := all[4]; r.Request != "A" || r.Millis != 7 || !r.Time.Equal(then) {
					t.Errorf("%+v, expected what happened at %v", r, then)
				}
				verified(t, cfg)
			})
		})
	}
}

// fillAndRecover runs on a small file system of its own: it appends until that
// is full, makes room, and appends again. It exits 0 if all went as it must.
func fillAndRecover(dir string) {
	check := func(ok bool, what string, err error) {
		if !ok {
			fmt.Println(what, err)
			os.Exit(1)
		}
	}
	ballast := filepath.Join(dir, "ballast")
	err := os.WriteFile(ballast, make([]byte, 64<<10), 0o600)
	check(err == nil, "ballast", err)
	cfg := config(dir)
	j, _, err := Open(cfg)
	check(err == nil, "open", err)
	for err == nil {
		err = j.Append(Record{Type: Control, Message: strings.Repeat("x", 100)})
	}
	check(errors.Is(err, ErrUnavailable), "append on a full disk", err)
	full := last(j).Seq
	check(os.Remove(ballast) == nil, "make room", nil)
	err = j.Append(Record{Type: Control})
	check(err == nil && last(j).Seq == full+1, "append with room", err)
	check(j.Close() == nil, "close", nil)
	report, err := Verify(context.Background(), cfg.AuditDir, cfg.StateDir, Demand{})
	check(err == nil && report.Fault == nil && report.Last == full+2, "verify", report.Fault)
	os.Exit(0)
}

func TestARealFullDisk(t *testing.T) {
	mount := `mount -t tmpfs -o size=256k full "$1" && exec "$2"`
	cmd := exec.Command("unshare", "-m", "sh", "-c", mount, "sh", t.TempDir(), os.Args[0])
	cmd.Env = append(os.Environ(), "JOURNAL_FULL_DIR="+cmd.Args[6])
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestAFullDiskAtTheEndOfASegment(t *testing.T) {
	cfg := config(t.TempDir())
	cfg.SegmentBytes = 2000
	full := false
	cfg.WriteAtomic = func(path string, data []byte, perm os.FileMode) error {
		if full {
			return errors.New("no space left on device")
		}
		return replace(path, data, perm)
	}
	j, _ := opened(t, cfg)
	full = true
	var err error
	for err == nil {
		err = j.Append(Record{Type: Control})
	}
	if !errors.Is(err, ErrUnavailable) {
		t.Errorf("append: %v", err)
	}
	full = false
	put(t, j, Record{Type: Opened, Request: "A"})
	if report := verified(t, cfg); report.Segments != 2 {
		t.Errorf("verified as %+v", report)
	}
}

// Room that is set aside is given up for what has happened, and no request
// begins before it is there again.
func TestTheReserve(t *testing.T) {
	cfg := config(t.TempDir())
	path := filepath.Join(cfg.AuditDir, reserveName)
	cfg.open = func(name string) (file, error) {
		f, err := openFile(name)
		return untilFreed{f, path}, err
	}
	j, _ := opened(t, cfg)
	if _, err := os.Stat(path); err != nil {
		t.Fatal(err)
	}
	if err := j.Append(Record{Type: Control}); !errors.Is(err, ErrUnavailable) {
		t.Errorf("append on a full disk: %v", err)
	}
	put(t, j, Record{Type: Ended, Request: "A"})  // takes it
	if err := os.Mkdir(path, 0o700); err != nil { // somebody else has the room
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(path, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := j.Append(Record{Type: Opened, Request: "B"}); !errors.Is(err, ErrUnavailable) || j.Room() == nil {
		t.Errorf("a request begins without the reserve: %v", err)
	}
	put(t, j, Record{Type: Ended, Request: "C"})
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
	if err := j.Room(); err != nil {
		t.Error(err)
	}
}

// untilFreed is a disk that is full while the reserve is on it.
type untilFreed struct {
	file
	reserve string
}

func (f untilFreed) Write(p []byte) (int, error) {
	if info, err := os.Stat(f.reserve); err == nil && info.Mode().IsRegular() {
		return 0, errors.New("no space left on device")
	}
	return f.file.Write(p)
}
