//go:build linux

package linux

import (
	"bytes"
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

// killTime is how long KillGroup goes on before it reports that processes
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
	members, err := t.sessionMembers(g)
	return err == nil && len(members) == 0
}

// KillGroup implements port.ProcessTree. It never ends this process, whatever
// group it was started in.
func (t *Tree) KillGroup(root core.ProcessID, name string) (int, error) {
	g, ok := parseGroup(name)
	if !ok {
		return 0, fmt.Errorf("kill %q: %w", name, errBadGroup)
	}
	deadline := time.Now().Add(killTime)
	own, err := t.cgroups.of(t.self.PID)
	switch {
	case g.stale:
		return 0, nil
	case g.cgroup == "":
		return t.killSession(g, deadline)
	case err != nil:
		return 0, fmt.Errorf("kill %q: where this service was started: %w", name, err)
	case within(own, g.cgroup):
		return 0, fmt.Errorf("kill %q: this service was started in it", name)
	}
	if _, err := os.Stat(g.cgroup); errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	return killCgroup(g.cgroup, deadline)
}

func (t *Tree) killSession(g group, deadline time.Time) (int, error) {
	ended := map[core.ProcessID]bool{}
	for {
		members, err := t.sessionMembers(g)
		if err != nil {
			return len(ended), fmt.Errorf("kill launch group of %s: %w", g.root, err)
		}
		if len(members) == 0 {
			return len(ended), nil
		}
		if time.Now().After(deadline) {
			return len(ended), fmt.Errorf("kill launch group of %s: %d %w", g.root, len(members), errStillThere)
		}
		for _, id := range members {
			ended[id] = true
			killExactly(id)
		}
		time.Sleep(time.Millisecond)
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

// sessionMembers lists the living processes of a session group.
func (t *Tree) sessionMembers(g group) ([]core.ProcessID, error) {
	all, err := t.processes()
	if err != nil {
		return nil, err
	}
	verdicts, ask := map[int]bool{1: false, t.self.PID: false}, t.asking()
	var members []core.ProcessID
	for pid, s := range all {
		if g.holds(s, all, verdicts, ask) && !s.dead() {
			members = append(members, core.ProcessID{PID: pid, Start: s.start})
		}
	}
	return members, nil
}

// holds reports whether s is in the session, carries the tag, or has a parent
// of whom that is true. verdicts remembers the answers, and holds those of
// processes at which the ascent must end.
func (g group) holds(s procStat, all map[int]procStat, verdicts map[int]bool, ask asking) bool {
	if verdict, known := verdicts[s.pid]; known {
		return verdict
	}
	verdicts[s.pid] = false // a parent that changes meanwhile cannot make a circle
	verdict := s.inSession(g.root) || g.tag != "" && s.start >= g.root.Start && ask(environOf(s.pid)).has(g.tag)
	if parent, ok := all[s.parent]; ok && !verdict {
		verdict = g.holds(parent, all, verdicts, ask)
	}
	verdicts[s.pid] = verdict
	return verdict
}

func environOf(pid int) string { return "/proc/" + strconv.Itoa(pid) + "/environ" }

// environment is what a process was started with, as proc(5) has it; nil is
// none that could be read.
type environment []byte

// has reports whether variable, NAME=value, is in it.
func (e environment) has(variable string) bool {
	return bytes.Contains(append([]byte{0}, e...), append(append([]byte{0}, variable...), 0))
}

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
