//go:build linux || darwin

// Package ancestry goes up from a process to those that it descends from, and reads
// what they say they are called. What one process is, each system says.
package ancestry

import (
	"errors"
	"fmt"
	"io/fs"

	"kpm/core"
)

// maxAncestors bounds how far up is looked.
const maxAncestors = 64

// Look returns one process, and the number of its parent.
type Look func(pid int) (one core.Ancestor, parent int, err error)

// Walk returns a process and those that it descends from, as port.Ancestry says. What
// look cannot find wraps vanished. A parent that is younger than its child is not the
// parent, but a later process with that number.
func Walk(id core.ProcessID, vanished error, look Look) ([]core.Ancestor, error) {
	var list []core.Ancestor
	for pid, youngest := id.PID, ^uint64(0); pid > 1 && len(list) < maxAncestors; {
		one, parent, err := look(pid)
		switch {
		case err != nil && len(list) > 0 && errors.Is(err, vanished), err == nil && one.ID.Start > youngest:
			return list, nil // it has ended, and so has the way up
		case err == nil && len(list) == 0 && one.ID != id:
			err = fmt.Errorf("process %d is another one by now: %w", pid, vanished)
		}
		if errors.Is(err, vanished) {
			err = fmt.Errorf("%w: %w", err, fs.ErrNotExist)
		}
		if err != nil {
			return nil, fmt.Errorf("ancestors of %s: %w", id, err)
		}
		list = append(list, one)
		pid, youngest = parent, one.ID.Start
	}
	return list, nil
}
