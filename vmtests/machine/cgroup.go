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

// cgroup is a machine's own place in the host's hierarchies. systemd-nspawn makes
// the machine's below its own: without a place for each, all machines of one
// test run would share one, and their systemds would fight over it.
type cgroup struct {
	dirs    []string // as the host sees it, one for each hierarchy
	path    string   // within version 1's hierarchy of systemd, or ""
	unified bool     // version 2's is one of dirs
}

// newCgroup makes a cgroup called name below this process's own in the two
// hierarchies that nspawn looks at: version 1's of systemd and version 2's.
func newCgroup(name string) (*cgroup, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, err
	}
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	g := &cgroup{}
	for line := range strings.Lines(string(own)) {
		_, controller, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ":") // id:controllers:path
		controller, path, _ := strings.Cut(controller, ":")
		kind := map[string]string{"": "cgroup2", "name=systemd": "cgroup"}[controller]
		point, root, ok := mountOf(string(mounts), kind, controller)
		if !ok {
			continue
		}
		below, err := filepath.Rel(root, path)
		if err != nil {
			return g, err
		}
		dir := filepath.Join(point, below, name)
		if err := os.Mkdir(dir, 0o755); err != nil {
			return g, err
		}
		g.dirs = append(g.dirs, dir)
		if kind == "cgroup2" {
			g.unified = true
		} else {
			g.path = filepath.Join(path, name)
		}
	}
	if len(g.dirs) == 0 {
		return g, errors.New("the host has no cgroup hierarchy for systemd")
	}
	return g, nil
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
	const enter = `while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs" || exit 1; shift; done; shift; exec "$@"`
	args := append([]string{"-c", enter, "enter"}, g.dirs...)
	return exec.Command("/bin/sh", append(append(args, "--"), argv...)...)
}

// remove removes the cgroup. Where the host has not mounted version 2's
// hierarchy, nspawn has mounted it and made a copy there, which goes as well;
// scratch becomes a directory for that. Nothing lives in any of them.
func (g *cgroup) remove(scratch string) error {
	var errs []error
	for _, dir := range g.dirs {
		errs = append(errs, removeCgroup(dir))
	}
	if g.unified || g.path == "" {
		return errors.Join(errs...)
	}
	if err := os.MkdirAll(scratch, 0o700); err != nil {
		return errors.Join(append(errs, err)...)
	}
	if err := syscall.Mount("cgroup2", scratch, "cgroup2", 0, ""); err != nil {
		return errors.Join(append(errs, fmt.Errorf("mount cgroup2: %w", err))...)
	}
	return errors.Join(append(errs, removeCgroup(filepath.Join(scratch, g.path)), syscall.Unmount(scratch, 0))...)
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
