package port

import "kpm/core"

// Ancestry says what a process descends from.
type Ancestry interface {
	// Ancestors returns the process and those that it descends from, the nearest
	// first, up to the first of the machine, which is left out. Where the way up is
	// lost, because a parent has ended, the list ends. Errors wrap fs.ErrNotExist
	// for a process that is not there, and errors.ErrUnsupported; what cannot be
	// seen within a bounded time is an error.
	Ancestors(id core.ProcessID) ([]core.Ancestor, error)
	// Starter returns the real user of a process: whoever has started it, whatever
	// rights its program has. Errors are as those of Ancestors.
	Starter(id core.ProcessID) (core.UserID, error)
}
