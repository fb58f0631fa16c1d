package port

import "kpm/core"

// ProcessTree finds and ends launch groups without holding their Process.
type ProcessTree interface {
	// Self is this process.
	Self() core.ProcessID
	// Alive reports whether exactly this process still exists, not a later
	// one with its pid.
	Alive(id core.ProcessID) bool
	// Member reports whether pid belongs to the launch group of root.
	Member(root core.ProcessID, group string, pid core.ProcessID) bool
	// Empty reports whether no process of the group is left.
	Empty(root core.ProcessID, group string) bool
	// KillGroup ends what remains of a group and returns how many processes
	// that were.
	KillGroup(root core.ProcessID, group string) (int, error)
}
