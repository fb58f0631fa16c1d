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
	inCgroups, err1 := t.killCgroups(cgroups, deadline)
	inSessions, err2 := t.killSessions(sessions, deadline)
	return inCgroups + inSessions, errors.Join(append(errs, err1, err2)...)
}

// killCgroups tells all of them to end before it waits for one. Attack: a process that
// cannot be ended takes all the time there is.
func (t *Tree) killCgroups(dirs []string, deadline time.Time) (ended int, err error) {
	if len(dirs) == 0 {
		return 0, nil
	}
	own, err := t.cgroups.of(t.self.PID)
	if err != nil {
		return 0, fmt.Errorf("kill launch groups: where this service was started: %w", err)
	}
	var told []string
	for _, dir := range dirs {
		n, failed := 0, error(nil)
		if within(own, dir) {
			failed = fmt.Errorf("kill launch group %s: this service was started in it", dir)
		} else if n, failed = killCgroup(dir); failed == nil {
			told = append(told, dir)
		}
		ended, err = ended+n, errors.Join(err, failed)
	}
	for _, dir := range told {
		err = errors.Join(err, awaitCgroup(dir, deadline))
	}
	return ended, err
}

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
		if time.Now().After(deadline) {
			return len(ended), fmt.Errorf("kill launch groups of %s: %d %w", ss, len(left), errStillThere)
		}
		for _, id := range left {
			ended[id] = true
			killExactly(id)
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
