//go:build linux

package linux

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/fair"
	"kpm/core/port"
)

// killTime is how long KillGroups goes on before it reports that processes
// remain: a process in an uninterruptible system call cannot be ended.
const killTime = 5 * time.Second

// errStillThere is wrapped when processes survive SIGKILL for killTime.
var errStillThere = errors.New("processes remain")

// errBadGroup is wrapped for a name that no launcher of ours gave.
var errBadGroup = errors.New("not the name of a launch group")

// environTime bounds reading environments for one question, maxEnvirons how
// many are read at once.
const (
	environTime = 500 * time.Millisecond
	maxEnvirons = 4
)

// Tree answers for launch groups from what the kernel shows in /proc.
type Tree struct {
	self    core.ProcessID
	cgroups cgroups
	reading chan struct{} // an element for each environment that is being read
	yielder *fair.Yielder
}

var _ port.ProcessTree = (*Tree)(nil)

// NewTree returns the process tree of this machine.
func NewTree() *Tree {
	pid := os.Getpid()
	start, _ := startTicks(pid)
	return &Tree{
		self: core.ProcessID{PID: pid, Start: start}, cgroups: findCgroups(), reading: make(chan struct{}, maxEnvirons),
		yielder: fair.NewYielder(),
	}
}

// Self implements port.ProcessTree.
func (t *Tree) Self() core.ProcessID { return t.self }

// Alive implements port.ProcessTree. A zombie is not alive.
func (t *Tree) Alive(id core.ProcessID) bool {
	s, ok := readStat(id.PID)
	return ok && s.start == id.Start && !s.dead()
}

// Which implements port.ProcessTree: id is the root, is in its cgroup, is in the
// session that root leads, or descends from root. None of these can be feigned
// from outside the group.
func (t *Tree) Which(id core.ProcessID, groups []port.Group) int {
	s, err := statOf(id.PID)
	switch {
	case err != nil && !errors.Is(err, errVanished):
		return port.Unknown
	case err != nil || s.start != id.Start || s.dead():
		return -1
	}
	line, whole := s.lineage()
	cgroup := sync.OnceValue(func() string {
		now, err := t.cgroups.of(id.PID)
		// Asked again afterwards: the pid may have changed hands in between.
		if err != nil || !t.Alive(id) {
			return ""
		}
		return now
	})
	at := slices.IndexFunc(groups, func(named port.Group) bool {
		if slices.Contains(line, named.Root) {
			return true
		}
		g, ok := parseGroup(named.Name)
		switch {
		case !ok || g.stale:
			return false
		case s.inSession(named.Root):
			return true
		}
		return g.cgroup != "" && within(cgroup(), g.cgroup)
	})
	if at < 0 && !whole {
		return port.Unknown
	}
	return at
}

// Empty implements port.ProcessTree.
func (t *Tree) Empty(root core.ProcessID, name string) bool {
	g, ok := parseGroup(name)
	if !ok || g.stale {
		return true
	}
	if g.cgroup != "" {
		return emptyCgroup(g.cgroup)
	}
	if t.Alive(root) { // which has just been forked, and may not lead its session yet
		return false
	}
	only, empty := newSessions(), true
	only.add(g, 0)
	err := t.eachMember(only, func(core.ProcessID, []int) { empty = false })
	return err == nil && empty
}

// KillGroups implements port.ProcessTree. It never ends this process, whatever group it
// was started in.
func (t *Tree) KillGroups(groups ...port.Group) (int, error) {
	deadline := time.Now().Add(killTime)
	sessions := newSessions()
	var cgroups []string
	var errs []error
	for i, named := range groups {
		g, ok := parseGroup(named.Name)
		switch {
		case !ok:
			errs = append(errs, fmt.Errorf("kill %q: %w", named.Name, errBadGroup))
		case g.stale:
		case g.cgroup == "":
			sessions.add(g, i)
		default:
			cgroups = append(cgroups, g.cgroup)
		}
	}
	ended, told, err := t.tellCgroups(cgroups)
	n, failed := t.killSessions(sessions, deadline)
	left, late := awaitCgroups(told, deadline)
	return ended - left + n, errors.Join(append(errs, err, failed, late)...)
}

// tellCgroups tells everything in cgroups to end, and returns how many processes that were
// and in which of them there may be some. All are told before one is waited for. Attack:
// a process that cannot be ended takes all the time there is.
func (t *Tree) tellCgroups(dirs []string) (ended int, told []string, err error) {
	if len(dirs) == 0 {
		return 0, nil, nil
	}
	own, err := t.cgroups.of(t.self.PID)
	if err != nil {
		return 0, nil, fmt.Errorf("kill launch groups: where this service was started: %w", err)
	}
	for _, dir := range dirs {
		if within(own, dir) {
			err = errors.Join(err, fmt.Errorf("kill launch group %s: this service was started in it", dir))
			continue
		}
		// The kernel removes no cgroup that has a process or another cgroup in it, and to
		// look for them means to list forty files.
		if gone := unix.Rmdir(dir); gone == nil || errors.Is(gone, os.ErrNotExist) {
			continue
		}
		pids, _ := membersOf(dir) // to be counted
		ended, told = ended+len(pids), append(told, dir)
		err = errors.Join(err, endCgroup(dir))
	}
	return ended, told, err
}

// awaitCgroups waits until nobody is left in cgroups that were told to end, removes them,
// and returns how many processes are left at the deadline.
func awaitCgroups(dirs []string, deadline time.Time) (left int, err error) {
	for ; ; time.Sleep(time.Millisecond) {
		dirs = slices.DeleteFunc(dirs, func(dir string) bool {
			if !emptyCgroup(dir) {
				return false
			}
			err = errors.Join(err, clearCgroup(dir))
			return true
		})
		if len(dirs) == 0 {
			return 0, err
		}
		late := time.Now().After(deadline)
		for _, dir := range dirs {
			if late {
				pids, _ := membersOf(dir)
				left, err = left+len(pids), errors.Join(err, fmt.Errorf("kill launch group %s: %w", dir, errStillThere))
			} else {
				_ = endCgroup(dir) // who was born meanwhile; if it cannot be told, they are left at the deadline
			}
		}
		if late {
			return left, err
		}
	}
}

// killSessions ends the living members of session groups and returns how many those were.
func (t *Tree) killSessions(ss *sessions, deadline time.Time) (int, error) {
	ended := map[core.ProcessID]bool{}
	for ; ; time.Sleep(time.Millisecond) {
		var left []core.ProcessID
		err := t.eachMember(ss, func(id core.ProcessID, _ []int) { left = append(left, id) })
		if err != nil {
			return len(ended), fmt.Errorf("kill launch groups of %s: %w", ss, err)
		}
		if len(left) == 0 {
			return len(ended), nil
		}
		for _, id := range left {
			ended[id] = true
			killExactly(id)
		}
		if time.Now().After(deadline) {
			return len(ended) - len(left), fmt.Errorf("kill launch groups of %s: %d %w", ss, len(left), errStillThere)
		}
	}
}

// killExactly sends SIGKILL to id and to no later process with its pid.
func killExactly(id core.ProcessID) {
	fd, err := unix.PidfdOpen(id.PID, 0)
	if err != nil {
		return
	}
	defer unix.Close(fd)
	if s, ok := readStat(id.PID); ok && s.start == id.Start {
		unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0)
	}
}

func environOf(pid int) string { return "/proc/" + strconv.Itoa(pid) + "/environ" }

// environment is what a process was started with, as proc(5) has it; nil is
// none that could be read.
type environment []byte

// asking reads the environment of a process, whose environ file is given.
type asking func(environ string) environment

// asking returns what reads environments for one question.
//
// Attack: the kernel reads an environment from the process's own memory, and
// waits for a process that keeps its memory map busy or answers for its pages
// itself (userfaultfd). One such process of any user would stop whatever asks
// about groups. So all environments together have environTime, at most
// maxEnvirons are waited for, and a process that does not answer carries
// nothing.
func (t *Tree) asking() asking {
	late := time.After(environTime)
	over := false
	return func(environ string) environment {
		if over {
			return nil
		}
		select {
		case t.reading <- struct{}{}:
		case <-late:
			over = true
			return nil
		}
		found := make(chan environment, 1)
		go func() {
			env, err := os.ReadFile(environ)
			if err != nil {
				env = nil
			}
			found <- env
			<-t.reading
		}()
		select {
		case env := <-found:
			return env
		case <-late:
			over = true
			return nil
		}
	}
}

// within reports whether dir is the cgroup or lies below it.
func within(dir, cgroup string) bool {
	return dir == cgroup || strings.HasPrefix(dir, cgroup+"/")
}
