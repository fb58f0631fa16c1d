//go:build linux

package linux

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Names of what we make in the cgroup file system.
const (
	cgroupHome   = "kpm"  // holds the launch groups of all agents of this machine
	cgroupPrefix = "kpm-" // one launch group
)

// cgroups is where the version 2 hierarchy is mounted. The zero value stands
// for a machine without one.
type cgroups struct {
	point string // the mount point
	root  string // the part of the hierarchy that is mounted there
}

func findCgroups() cgroups {
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return cgroups{}
	}
	for line := range strings.Lines(string(table)) {
		// id parent device root point options [tags] - type source options
		before, after, _ := strings.Cut(line, " - ")
		fields, kind := strings.Fields(before), strings.Fields(after)
		if len(fields) > 4 && len(kind) > 0 && kind[0] == "cgroup2" {
			return cgroups{point: fields[4], root: fields[3]}
		}
	}
	return cgroups{}
}

// of returns the directory of the cgroup that a process is in, or "" if it is
// in none that can be seen from here.
func (c cgroups) of(pid int) (string, error) {
	if c.point == "" {
		return "", nil
	}
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(data)) {
		if path, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "0::"); ok {
			return c.dir(path), nil
		}
	}
	return "", nil
}

func (c cgroups) dir(path string) string {
	rel, err := filepath.Rel(c.root, path)
	// A process outside of what we can see is shown as "/../elsewhere".
	if err != nil || !filepath.IsLocal(rel) || strings.HasPrefix(path, "/..") {
		return ""
	}
	return filepath.Join(c.point, rel)
}

// errNoCgroup is why launch groups are no cgroups, and what an administrator can do.
var errNoCgroup = errors.New("start the machine with cgroups of version 2 (systemd.unified_cgroup_hierarchy=1), mounted so that root may write to them")

// DetectCgroup makes a directory for launch groups and returns it, or says why there
// is no cgroup version 2 that we may write to: then launch groups are sessions and
// what descends from them. Launcher.Close removes it again, unless programs still run
// there.
//
// It lies at the top of what is mounted, and not in this process's own cgroup: a
// service manager ends everything in that when the service stops, and people's
// commands go on. Where the top may not be written to, the own must do.
func DetectCgroup() (home string, err error) { return detectCgroup(findCgroups()) }

func detectCgroup(c cgroups) (home string, err error) {
	own, err := c.of(os.Getpid())
	if err == nil && own == "" {
		err = fmt.Errorf("/proc/self/mountinfo and cgroup: this process is in none of version 2: %w", errNoCgroup)
	}
	if err != nil {
		return "", err
	}
	var errs []error
	for _, dir := range []string{c.point, own} {
		home := filepath.Join(dir, cgroupHome)
		trial, err := makeCgroup(home)
		if err == nil {
			unix.Rmdir(trial)
			return home, nil
		}
		unix.Rmdir(home)
		errs = append(errs, err)
	}
	return "", fmt.Errorf("%w: %w", errors.Join(errs...), errNoCgroup)
}

// makeCgroup makes a cgroup with a random name in home.
func makeCgroup(home string) (string, error) {
	dir := filepath.Join(home, cgroupPrefix+rand.Text())
	err := os.Mkdir(dir, 0o755)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.Mkdir(home, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return "", err
		}
		err = os.Mkdir(dir, 0o755)
	}
	return dir, err
}

// emptyCgroup reports whether no process lives in dir and below. The kernel's
// own "populated" also counts the last moments of those that were reaped.
func emptyCgroup(dir string) bool {
	has, err := hasMembers(dir)
	return err == nil && !has // what cannot be looked at is not empty
}

// removeCgroup removes an empty cgroup and what the group itself made below.
func removeCgroup(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeCgroup(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	return os.Remove(dir)
}

// sweepCgroups removes the empty cgroups that helpers of a killed service left
// in home. A young one may belong to another agent that is just starting it.
func sweepCgroups(home string) {
	left, _ := filepath.Glob(filepath.Join(home, cgroupPrefix+"*"))
	for _, dir := range left {
		if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > time.Minute && emptyCgroup(dir) {
			removeCgroup(dir)
		}
	}
}

// endCgroup tells everything in dir to end.
func endCgroup(dir string) error {
	// Not made where it is missing: the kernel would refuse that as forbidden.
	kill, err := os.OpenFile(filepath.Join(dir, "cgroup.kill"), os.O_WRONLY, 0)
	if err == nil {
		_, err = kill.WriteString("1")
		kill.Close()
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) { // kernels before 5.14, or it has gone
		var pids []int
		pids, err = membersOf(dir)
		for _, pid := range pids {
			unix.Kill(pid, unix.SIGKILL)
		}
	}
	if err != nil {
		return fmt.Errorf("kill launch group %s: %w", dir, err)
	}
	return nil
}

// clearCgroup removes dir, in which nobody is left. It may be busy for a moment; the
// launcher comes back to it.
func clearCgroup(dir string) error {
	err := removeCgroup(dir)
	if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENODEV) || errors.Is(err, unix.EBUSY) {
		return nil
	}
	return fmt.Errorf("remove launch group: %w", err)
}
