//go:build linux

package darwin

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kpm/platform/darwin/tool"
)

// launchd stands in for the one of macOS: what it is told, and its answers.
type launchd struct {
	told    []string
	refuses string // the subcommand that fails
	knows   bool
}

func (l *launchd) run(_ context.Context, argv []string) (said, error) {
	l.told = append(l.told, strings.Join(argv, " "))
	switch {
	case argv[1] == l.refuses:
		return said{status: 5, errors: "Bootstrap failed: 5: Input/output error\n"}, nil
	case argv[1] == "bootout" && !l.knows:
		return said{status: 3, errors: "Boot-out failed: 3: No such process\n"}, nil
	}
	l.knows = argv[1] == "bootstrap"
	return said{}, nil
}

// An alarm is described in a folder of root's, and launchd told; one of the same name
// is forgotten before. What has gone off leaves nothing.
func TestAlarms(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "alarms")
	l := &launchd{}
	a := Alarms{folder, l.run}
	file := filepath.Join(folder, "G7.plist")
	set, clear := strings.Join(tool.SetAlarm(file), " "), strings.Join(tool.ClearAlarm("G7"), " ")
	for range 2 {
		if err := a.Set(t.Context(), "G7", time.Hour, []string{"/p", "x"}); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{clear, set, clear, set}; !slices.Equal(l.told, want) {
		t.Errorf("launchctl was told %q, want %q", l.told, want)
	}
	info, err := os.Stat(file)
	if err != nil || info.Mode() != 0o600 || info.ModTime().Before(time.Now().Add(59*time.Minute)) {
		t.Errorf("%v, %v", info, err)
	}
	if dir, err := os.Stat(folder); err != nil || dir.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", dir, err)
	}
	gone := filepath.Join(folder, "G6.plist")
	if err := errors.Join(os.WriteFile(gone, nil, 0o600), os.Chtimes(gone, time.Time{}, time.Now().Add(-2*time.Hour))); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(a.Clear(t.Context(), "G7"), a.Clear(t.Context(), "G7"), a.Set(t.Context(), "G8", time.Hour, []string{"/p"})); err != nil {
		t.Error(err)
	}
	if left, err := os.ReadDir(folder); err != nil || len(left) != 1 || left[0].Name() != "G8.plist" {
		t.Errorf("%v, %v: expected the one that is to go off", left, err)
	}
}

// What launchd refuses is said, and leaves no description behind.
func TestAlarmsThatAreRefused(t *testing.T) {
	folder := t.TempDir()
	for _, refuses := range []string{"bootstrap", "bootout"} {
		l := &launchd{refuses: refuses}
		err := Alarms{folder, l.run}.Set(t.Context(), "G7", time.Hour, []string{"/p"})
		if err == nil || !strings.Contains(err.Error(), "launchctl "+refuses+" ended with 5: ") {
			t.Errorf("%s: %v", refuses, err)
		}
		if left, err := os.ReadDir(folder); err != nil || len(left) != 0 {
			t.Errorf("%s: %v, %v", refuses, left, err)
		}
	}
	// Attack: a name is a path, or another job's.
	l := &launchd{}
	for _, name := range []string{"", "../x", "a.b", "a/b", strings.Repeat("a", 65)} {
		a := Alarms{folder, l.run}
		if a.Set(t.Context(), name, time.Hour, []string{"/p"}) == nil || a.Clear(t.Context(), name) == nil || l.told != nil {
			t.Errorf("%q: launchctl was told %q", name, l.told)
		}
	}
}
