//go:build linux

package linux

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// cgroupsOf makes directories that look like cgroups with those members.
func cgroupsOf(t *testing.T, members ...string) []string {
	var dirs []string
	for _, pids := range members {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(pids), 0o600); err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, dir)
	}
	return dirs
}

// What commands have left behind is looked at seldom: not each time that one of them
// ends, but after twenty times as long as the last look has taken.
func TestCgroupsThatStayAreLookedAtSeldom(t *testing.T) {
	dirs := cgroupsOf(t, "17\n", "0\n18\n19\n")
	gone := t.TempDir()
	l := &Launcher{lingering: append([]string{gone}, dirs...)}
	if again := l.removeCgroups(); again != nil {
		t.Error("it comes back by itself for cgroups in which somebody lives")
	}
	if !slices.Equal(l.lingering, dirs) {
		t.Errorf("%q are left, want %q", l.lingering, dirs)
	}
	if l.lookPause <= 0 || l.lookPause > maxLookPause {
		t.Errorf("the next look comes after %s", l.lookPause)
	}
	synctest.Test(t, func(t *testing.T) {
		l := &Launcher{lookPause: 300 * time.Millisecond}
		begun := time.Now()
		again := l.lookSoon(nil)
		time.Sleep(200 * time.Millisecond)
		again = l.lookSoon(again) // another one has ended
		if <-again; time.Since(begun) != l.lookPause {
			t.Errorf("the look comes after %s, want %s", time.Since(begun), l.lookPause)
		}
	})
}

// A process that lives below a cgroup, and none in it, is found too; one that is in
// another process namespace, which is shown as 0, has no number to be found by.
func TestHasMembers(t *testing.T) {
	below := cgroupsOf(t, "")[0]
	if err := os.Mkdir(filepath.Join(below, "own"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(below, "own", "cgroup.procs"), []byte("21\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cases := append(cgroupsOf(t, "", "0\n", "20\n"), below, filepath.Join(below, "none"))
	for i, want := range []bool{false, false, true, true, false} {
		if has, err := hasMembers(cases[i]); has != want || err != nil {
			t.Errorf("case %d: %v, %v, want %v", i, has, err, want)
		}
	}
}
