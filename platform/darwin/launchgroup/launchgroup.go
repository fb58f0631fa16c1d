// Package launchgroup decides which processes of a Mac belong to a launch group,
// from a table of all processes. It makes no call: package darwin fills the table
// and ends what is found.
//
// macOS has neither cgroups nor subreapers. A group is the session that the
// launch's helper leads, and what descends from it. A process that leaves the
// session and whose parents are gone belongs to launchd, and is found by the
// variable of the request or run in the environment that it was started with. One
// that sheds both is outside: that is this system's limit.
package launchgroup

import (
	"slices"
	"strconv"
	"strings"

	"kpm/core"
	"kpm/platform/darwin/kernel"
)

// Group is a launch group as its name says it:
//
//	session:812@1700000000123456:BOOT[:NAME=value]
type Group struct {
	Root core.ProcessID // the session's leader
	Tag  string         // NAME=value, or ""
	// Stale is true for a group of an earlier boot: its numbers mean other
	// processes now, or none.
	Stale bool
}

// tagNames are the variables whose value is unique to one launch and that no one
// can guess (docs/settings.md).
var tagNames = [...]string{"KEEPER_REQUEST_ID=", "KEEPER_RUN_ID="}

// Name returns the name of the group that root leads. boot names this boot, and
// env is what the program is started with.
func Name(root core.ProcessID, boot string, env []string) string {
	name := "session:" + root.String() + ":" + boot
	for _, variable := range env {
		for _, tag := range tagNames {
			if strings.HasPrefix(variable, tag) && len(variable) > len(tag) {
				return name + ":" + variable
			}
		}
	}
	return name
}

// Parse reads a group's name. Names come back from the journal, so nothing that
// is not exactly ours is acted on.
func Parse(name, boot string) (Group, bool) {
	parts := strings.SplitN(name, ":", 4)
	if len(parts) < 3 || parts[0] != "session" || parts[2] == "" {
		return Group{}, false
	}
	pid, start, _ := strings.Cut(parts[1], "@")
	n, err1 := strconv.Atoi(pid)
	stamp, err2 := strconv.ParseUint(start, 10, 64)
	g := Group{Root: core.ProcessID{PID: n, Start: stamp}, Stale: parts[2] != boot}
	if len(parts) == 4 {
		g.Tag = parts[3]
		if !slices.ContainsFunc(tagNames[:], func(tag string) bool { return strings.HasPrefix(g.Tag, tag) && len(g.Tag) > len(tag) }) {
			return Group{}, false
		}
	}
	return g, err1 == nil && err2 == nil && n > 1
}

// Table is every process at one moment, by pid.
type Table map[int]kernel.Process

// Carries reports whether a process was started with a variable, NAME=value.
type Carries func(pid int, variable string) bool

// Members returns the living processes of a group, in the order of their pids.
// self is never one of them: this service, whatever it was started in.
func (t Table) Members(g Group, self int, carries Carries) []core.ProcessID {
	if g.Stale {
		return nil
	}
	// The ascent ends at launchd, which is the parent of every orphan.
	verdicts := map[int]bool{0: false, 1: false, self: false}
	var members []core.ProcessID
	for pid, p := range t {
		if t.holds(g, p, verdicts, carries) && !p.Zombie {
			members = append(members, core.ProcessID{PID: pid, Start: p.Start})
		}
	}
	slices.SortFunc(members, func(a, b core.ProcessID) int { return a.PID - b.PID })
	return members
}

// holds reports whether p is in the group's session, carries its tag, or has a
// parent of whom that is true. verdicts remembers the answers.
func (t Table) holds(g Group, p kernel.Process, verdicts map[int]bool, carries Carries) bool {
	if verdict, known := verdicts[p.PID]; known {
		return verdict
	}
	verdicts[p.PID] = false // a parent that changes meanwhile cannot make a circle
	verdict := t.inSession(g, p) || g.Tag != "" && p.Start >= g.Root.Start && carries(p.PID, g.Tag)
	if parent, ok := t[p.Parent]; ok && !verdict && parent.Start <= p.Start {
		verdict = t.holds(g, parent, verdicts, carries)
	}
	verdicts[p.PID] = verdict
	return verdict
}

// inSession reports whether p is in the session that the group's root leads, or
// is that root. The pid of a session's leader is given to nobody else as long as
// somebody is in the session (xnu, bsd/kern/kern_fork.c, forkproc).
//
// Attack, or accident: the session has ended, another user's has got its number, and
// is ended with our group or passes for a part of it. A leader that has started at
// another time is another session's.
func (t Table) inSession(g Group, p kernel.Process) bool {
	if p.PID == g.Root.PID {
		return p.Start == g.Root.Start
	}
	if leader, there := t[g.Root.PID]; there && leader.Start != g.Root.Start {
		return false
	}
	return p.Session == g.Root.PID && p.Start >= g.Root.Start
}

// Member reports whether exactly id is in the session of root or descends from
// root. A tag does not count: a process chooses its own environment.
func (t Table) Member(g Group, id core.ProcessID) bool {
	p, ok := t[id.PID]
	if !ok || p.Start != id.Start || p.Zombie || g.Stale {
		return false
	}
	return t.holds(Group{Root: g.Root}, p, map[int]bool{0: false, 1: false}, nil)
}
