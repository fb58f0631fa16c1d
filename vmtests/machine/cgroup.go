//go:build linux

package machine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// cgroup is a machine's own place in the host's hierarchy. systemd-nspawn makes
// the machine's below its own: without a place for each, all machines of one
// test run would share one, and their systemds would fight over it.
type cgroup struct {
	dir     string // as the host sees it
	path    string // within the hierarchy
	unified bool   // the host's own hierarchy is version 2
}

// newCgroup makes a cgroup called name below this process's own: in version 1's
// hierarchy of systemd where the host has one, since nspawn looks there first,
// else in version 2's.
func newCgroup(name string) (*cgroup, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	for _, hierarchy := range []struct {
		kind, option, line string
		unified            bool
	}{
		{kind: "cgroup", option: "name=systemd", line: ":name=systemd:"},
		{kind: "cgroup2", line: "0::", unified: true},
	} {
		point, root, ok := mountOf(string(mounts), hierarchy.kind, hierarchy.option)
		if !ok {
			continue
		}
		for line := range strings.Lines(string(own)) {
			_, path, ok := strings.Cut(strings.TrimSuffix(line, "\n"), hierarchy.line)
			if !ok {
				continue
			}
			below, err := filepath.Rel(root, path)
			if err != nil {
				return nil, err
			}
			g := &cgroup{dir: filepath.Join(point, below, name), path: filepath.Join(path, name), unified: hierarchy.unified}
			return g, os.Mkdir(g.dir, 0o755)
		}
	}
	return nil, errors.New("the host has no cgroup hierarchy for systemd")
}

// mountOf finds where a hierarchy is mounted, and which part of it.
func mountOf(mounts, kind, option string) (point, root string, ok bool) {
	for line := range strings.Lines(mounts) {
		// id parent device root point options [tags] - type source options
		before, after, _ := strings.Cut(line, " - ")
		fields, source := strings.Fields(before), strings.Fields(after)
		if len(fields) > 4 && len(source) > 2 && source[0] == kind && strings.Contains(source[2], option) {
			return fields[4], fields[3], true
		}
	}
	return "", "", false
}

// command returns a command that is born in the cgroup.
func (g *cgroup) command(argv ...string) *exec.Cmd {
	enter := []string{"-c", `echo $$ >"$0" && exec "$@"`, filepath.Join(g.dir, "cgroup.procs")}
	return exec.Command("/bin/sh", append(enter, argv...)...)
}

// remove removes the cgroup and the copy that nspawn made of it in version 2's
// hierarchy, which it mounts at scratch for that. Nothing lives in them.
func (g *cgroup) remove(scratch string) error {
	if err := removeCgroup(g.dir); err != nil || g.unified {
		return err
	}
	if err := os.Mkdir(scratch, 0o700); err != nil {
		return err
	}
	if err := syscall.Mount("cgroup2", scratch, "cgroup2", 0, ""); err != nil {
		return fmt.Errorf("mount cgroup2: %w", err)
	}
	return errors.Join(removeCgroup(filepath.Join(scratch, g.path)), syscall.Unmount(scratch, 0))
}

func removeCgroup(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, entry := range entries {
		if entry.IsDir() {
			err = errors.Join(err, removeCgroup(filepath.Join(dir, entry.Name())))
		}
	}
	return errors.Join(err, os.Remove(dir))
}
