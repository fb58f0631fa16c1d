//go:build linux

package linux

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core/port"
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

// Kernels before 5.14 have no cgroup.kill. All groups are told to end, also where one of
// them never empties, which is what these directories do.
func TestCgroupsWithoutKill(t *testing.T) {
	var dirs []string
	var members []*exec.Cmd
	for range 3 {
		member := exec.Command("/bin/sleep", "1000")
		must(t, member.Start())
		members = append(members, member)
		dirs = append(dirs, cgroupsOf(t, strconv.Itoa(member.Process.Pid)+"\n")...)
	}
	n, told, err := NewTree().tellCgroups(dirs)
	if n != len(dirs) || !slices.Equal(told, dirs) || err != nil {
		t.Errorf("%d processes in %q, %v", n, told, err)
	}
	for i, member := range members {
		_ = member.Wait()
		if status := member.ProcessState.Sys().(syscall.WaitStatus); status.Signal() != syscall.SIGKILL {
			t.Errorf("member of %d: %v", i, member.ProcessState)
		}
		if _, err := os.Lstat(filepath.Join(dirs[i], "cgroup.kill")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a file was made where the kernel has none: %v", err)
		}
	}
	left, err := awaitCgroups(told, time.Now())
	if left != len(dirs) || !errors.Is(err, errStillThere) || strings.Count(err.Error(), errStillThere.Error()) != len(dirs) {
		t.Errorf("%d are left, %v; want one of each of %q", left, err, dirs)
	}
}

// A group that cannot be looked at may have members, and says nothing of the others.
func TestOccupiedThatCannotBeSeen(t *testing.T) {
	dirs := []string{}
	for i, members := range []string{"", "17\n"} {
		dir := filepath.Join(t.TempDir(), cgroupPrefix+strconv.Itoa(i))
		must(t, os.Mkdir(dir, 0o700))
		must(t, os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(members), 0o600))
		dirs = append(dirs, dir)
	}
	unseen := filepath.Join(t.TempDir(), cgroupPrefix+"unseen")
	must(t, os.MkdirAll(filepath.Join(unseen, "cgroup.procs"), 0o700)) // no file, as none of a cgroup's is
	var groups []port.Group
	for _, dir := range append(dirs, unseen) {
		groups = append(groups, port.Group{Name: cgroupName(dir)})
	}
	occupied, err := NewTree().Occupied(groups)
	if !slices.Equal(occupied, []bool{false, true, true}) || err != nil {
		t.Errorf("got %v, %v", occupied, err)
	}
}
