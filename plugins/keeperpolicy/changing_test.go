package keeperpolicy

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// replace makes a file anew, or removes it if there is no text.
func replace(t *testing.T, path, text string) {
	t.Helper()
	if text == "" {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		return
	}
	if err := os.WriteFile(path+".next", []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".next", path); err != nil {
		t.Fatal(err)
	}
}

// tzfile is a file of tzfile(5) with one zone, hours east of UTC.
func tzfile(hours int8) string {
	offset := uint32(int32(hours) * 3600)
	return "TZif" + strings.Repeat("\x00", 16+4*4) + "\x00\x00\x00\x01\x00\x00\x00\x04" +
		string([]byte{byte(offset >> 24), byte(offset >> 16), byte(offset >> 8), byte(offset), 0, 0}) + "XXX\x00"
}

func TestWhatIsLookedUpEachTime(t *testing.T) {
	dir := t.TempDir()
	s := newSurroundings()
	s.zone.file.path, s.groups.file.path, s.groups.sources.path = filepath.Join(dir, "localtime"), filepath.Join(dir, "group"), filepath.Join(dir, "nsswitch.conf")

	noon := time.Date(2026, 11, 18, 12, 0, 0, 0, time.UTC)
	for _, tc := range []struct {
		file string
		hour int
	}{{tzfile(0), 12}, {tzfile(5), 17}, {tzfile(-8), 4}, {"garbage", 12}, {tzfile(1), 13}, {"", 12}} {
		replace(t, s.zone.file.path, tc.file)
		for range 2 {
			if got := s.zone.of(noon); got.Hour() != tc.hour || !got.Equal(noon) {
				t.Errorf("%q: %v", tc.file, got)
			}
		}
	}

	used := []string{"nogroup", "ops", "wheel"}
	for _, tc := range []struct {
		groups, sources string
		missing         []string
	}{
		{"wheel:x:10:\nops:x:7:\n", "group: files\n", []string{"nogroup"}},
		{"wheel:x:11:\n", "group: files\n", []string{"nogroup", "ops"}},
		{"wheel:x:11:\nops:x:7:\nnogroup:x:1:\n", "group: files systemd\n", nil},
		{"wheel:x:11:\n", "group: files systemd [NOTFOUND=return]\n", []string{"nogroup", "ops"}},
		{"wheel:x:11:\n", "passwd: files\ngroup: files sss # of the company\n", nil},
		{"wheel:x:11:\n", "# group: files sss\npasswd: files sss\n", []string{"nogroup", "ops"}},
	} {
		replace(t, s.groups.file.path, tc.groups)
		replace(t, s.groups.sources.path, tc.sources)
		for range 2 {
			if got := s.groups.missingOf(used); !slices.Equal(got, tc.missing) {
				t.Errorf("%q, %q: %v are missing, expected %v", tc.groups, tc.sources, got, tc.missing)
			}
		}
	}
	if got := s.groups.missingOf([]string{"other"}); !slices.Equal(got, []string{"other"}) {
		t.Errorf("another set of policies: %v", got)
	}
	replace(t, s.groups.file.path, "")
	if got := s.groups.missingOf([]string{"wheel"}); !slices.Equal(got, []string{"wheel"}) {
		t.Errorf("without the file: %v", got)
	}
}

// A file that was written a moment ago may be written again without another
// time stamp.
func TestAFileIsReadAgainUntilItHasSettled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "group")
	replace(t, path, "wheel:x:10:\n")
	w := watchedFile{path: path}
	for range 3 {
		if !w.changed() {
			t.Error("it was believed at once")
		}
	}
	long := time.Now().Add(-time.Hour)
	if err := os.Chtimes(path, long, long); err != nil {
		t.Fatal(err)
	}
	for i, want := range []bool{true, false, false} {
		if got := w.changed(); got != want {
			t.Errorf("look %d: changed is %v", i, got)
		}
	}
}
