package port

import "kpm/core"

// Group is a launch group: its name, as Held.Group says it, and its root.
type Group struct {
	Root core.ProcessID
	Name string
}

// Unknown is what Which returns of a process that lives and whose parents cannot be looked
// at, or end while they are.
const Unknown = -2

// ProcessTree finds and ends launch groups without holding their Process.
type ProcessTree interface {
	// Self is this process.
	Self() core.ProcessID
	// Alive reports whether exactly this process still exists, not a later
	// one with its pid.
	Alive(id core.ProcessID) bool
	// Which returns the index of the first of groups that the process belongs to, by
	// one look at it; -1 if to none, Unknown if that cannot be said. A group without a
	// name is its root and what descends from that.
	Which(id core.ProcessID, groups []Group) int
	// Empty reports whether no process of the group is left.
	Empty(root core.ProcessID, group string) bool
	// Occupied reports of each group whether a process of it is left, by one
	// look at all processes. A group that cannot be looked at is taken for occupied; an
	// error means that the processes could not be listed.
	Occupied(groups []Group) ([]bool, error)
	// KillGroups ends what remains of groups and returns how many processes that
	// were. What is found by a look at all processes is found by one look for all of
	// them.
	KillGroups(groups ...Group) (int, error)
}
