//go:build unix

package darwin

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/darwin/launchgroup"
)

// killTime is how long KillGroups goes on before it reports that processes
// remain: a process in an uninterruptible system call cannot be ended.
const killTime = 5 * time.Second

// Bounds of reading what a process was started with: when it is late, and how many of
// one user's may be.
const (
	lateTime = 250 * time.Millisecond
	maxLate  = 4
)

var (
	// errStillThere is wrapped when processes survive SIGKILL for killTime.
	errStillThere = errors.New("processes remain")
	// errBadGroup is wrapped for a name that no launcher of ours gave.
	errBadGroup = errors.New("not the name of a launch group")
)

// Tree answers for launch groups from the process table. What belongs to one is
// decided by package launchgroup.
type Tree struct {
	system system
	self   core.ProcessID
	boot   string

	mu   sync.Mutex
	late map[int]uint32 // processes whose environment is still waited for, and whose they are
}

var _ port.ProcessTree = (*Tree)(nil)

// newTree returns the process tree of a machine.
func newTree(on system) *Tree {
	own, _ := on.process(os.Getpid())
	return &Tree{late: map[int]uint32{}, system: on, self: core.ProcessID{PID: os.Getpid(), Start: own.Start}, boot: on.boot()}
}

// Self implements port.ProcessTree.
func (t *Tree) Self() core.ProcessID { return t.self }

// Alive implements port.ProcessTree. A zombie is not alive.
func (t *Tree) Alive(id core.ProcessID) bool {
	p, ok := t.system.process(id.PID)
	return ok && p.Start == id.Start && !p.Zombie
}

// Which implements port.ProcessTree.
func (t *Tree) Which(id core.ProcessID, groups []port.Group) int {
	all, err := t.system.processes()
	if err != nil {
		return port.Unknown
	}
	return slices.IndexFunc(groups, func(named port.Group) bool {
		g, ok := launchgroup.Parse(named.Name, t.boot)
		if named.Name == "" {
			g, ok = launchgroup.Group{Root: named.Root}, true
		}
		return ok && g.Root == named.Root && all.Member(g, id)
	})
}

// Empty implements port.ProcessTree.
func (t *Tree) Empty(_ core.ProcessID, name string) bool {
	g, ok := launchgroup.Parse(name, t.boot)
	if !ok || g.Stale {
		return true
	}
	all, err := t.system.processes()
	return err == nil && len(all.Members(g, t.self.PID, t.asking([]launchgroup.Group{g}))) == 0
}

// Occupied implements port.ProcessTree.
func (t *Tree) Occupied(groups []port.Group) ([]bool, error) {
	all, err := t.system.processes()
	if err != nil {
		return nil, err
	}
	ours, known := make([]launchgroup.Group, len(groups)), make([]bool, len(groups))
	for i, group := range groups {
		ours[i], known[i] = launchgroup.Parse(group.Name, t.boot)
	}
	occupied, carries := make([]bool, len(groups)), t.asking(ours)
	for i, g := range ours {
		occupied[i] = known[i] && len(all.Members(g, t.self.PID, carries)) > 0
	}
	return occupied, nil
}

// KillGroups implements port.ProcessTree. It never ends this process, whatever group it
// was started in.
func (t *Tree) KillGroups(groups ...port.Group) (int, error) {
	var ours []launchgroup.Group
	var errs []error
	for _, named := range groups {
		g, ok := launchgroup.Parse(named.Name, t.boot)
		if ok {
			ours = append(ours, g)
		} else {
			errs = append(errs, fmt.Errorf("kill %q: %w", named.Name, errBadGroup))
		}
	}
	if len(ours) == 0 {
		return 0, errors.Join(errs...)
	}
	n, err := t.kill(ours)
	return n, errors.Join(append(errs, err)...)
}

func (t *Tree) kill(groups []launchgroup.Group) (int, error) {
	ended := map[core.ProcessID]bool{}
	for deadline := time.Now().Add(killTime); ; time.Sleep(time.Millisecond) {
		all, err := t.system.processes()
		if err != nil {
			return len(ended), fmt.Errorf("kill launch groups: %w", err)
		}
		var left []core.ProcessID // whose groups they are
		carries := t.asking(groups)
		for _, g := range groups {
			members := all.Members(g, t.self.PID, carries)
			if len(members) > 0 {
				left = append(left, g.Root)
			}
			for _, id := range members {
				ended[id] = true
				t.killExactly(id)
			}
		}
		if len(left) == 0 {
			return len(ended), nil
		}
		if time.Now().After(deadline) {
			return len(ended), fmt.Errorf("kill launch groups of %v: %w", left, errStillThere)
		}
	}
}

// asking returns launchgroup.Carries for one look at groups, which asks each process once.
func (t *Tree) asking(groups []launchgroup.Group) launchgroup.Carries {
	wanted, known := map[string]bool{}, map[int][]string{}
	for _, g := range groups {
		wanted[g.Tag] = g.Tag != ""
	}
	return func(pid int, variable string) bool {
		carried, asked := known[pid]
		if !asked {
			carried = t.carried(pid, wanted)
			known[pid] = carried
		}
		return slices.Contains(carried, variable)
	}
}

// carried are those of the wanted variables that a process was started with.
//
// Attack: a process has its environment in memory that a file system of its own serves.
// Whoever reads it waits for that, and nobody's group could be ended meanwhile. So
// another goroutine reads, its time is bounded, and so is how many of one user's may be
// late: of others all are asked.
func (t *Tree) carried(pid int, wanted map[string]bool) []string {
	if !t.mayAsk(pid) {
		return nil
	}
	answer := make(chan []string, 1)
	go func() {
		found := t.system.carried(pid, wanted)
		t.mu.Lock()
		defer t.mu.Unlock()
		delete(t.late, pid)
		answer <- found
	}()
	timer := time.NewTimer(lateTime)
	defer timer.Stop()
	select {
	case found := <-answer:
		return found
	case <-timer.C:
	}
	of, _ := t.system.process(pid)
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case found := <-answer:
		return found
	default:
		t.late[pid] = of.User
		return nil
	}
}

// mayAsk reports whether a process is asked, which is not late, and of whose user not
// too many are.
func (t *Tree) mayAsk(pid int) bool {
	t.mu.Lock()
	_, late := t.late[pid]
	full := len(t.late) >= maxLate
	t.mu.Unlock()
	if late || !full {
		return !late
	}
	of, there := t.system.process(pid)
	t.mu.Lock()
	defer t.mu.Unlock()
	left := maxLate
	for _, user := range t.late {
		if user == of.User {
			left--
		}
	}
	return there && left > 0
}

// killExactly sends SIGKILL to id. macOS has no handle of a process: between the
// look and the signal the pid can change hands, which takes the end of this process,
// its reaping and a whole round of pids within microseconds.
func (t *Tree) killExactly(id core.ProcessID) {
	if t.Alive(id) {
		unix.Kill(id.PID, unix.SIGKILL)
	}
}
