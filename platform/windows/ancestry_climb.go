package windows

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"kpm/core"
)

// Bounds of looking at what a process descends from: how far up, and how many words of
// an interpreter's command line.
const (
	maxAncestors = 64
	maxWords     = 4
)

// firstProcess is the pid of System; it and Idle have no programs.
const firstProcess = 4

// relative is a process as a look at its pid finds it.
type relative struct {
	id      core.ProcessID
	parent  int
	program string
	names   []string
}

// climb returns a process and those that it descends from, the nearest first. look
// says fs.ErrNotExist of a process that is not there.
//
// Attack: a parent has ended, and a coding agent's child passes for what another
// process with that number has started. A parent that is younger than its child is not
// the parent, and the way ends there.
func climb(id core.ProcessID, look func(pid int) (relative, error)) ([]core.Ancestor, error) {
	var list []core.Ancestor
	youngest := ^uint64(0)
	for pid := id.PID; pid > firstProcess && len(list) < maxAncestors; {
		one, err := look(pid)
		switch {
		case len(list) > 0 && (errors.Is(err, fs.ErrNotExist) || err == nil && one.id.Start > youngest):
			return list, nil // it has ended, and so has the way up
		case err == nil && len(list) == 0 && one.id != id:
			err = fmt.Errorf("it is another one by now: %w", fs.ErrNotExist)
		}
		if err != nil {
			return nil, fmt.Errorf("ancestors of process %s: process %d: %w", id, pid, err)
		}
		list = append(list, core.Ancestor{ID: one.id, Program: one.program, Names: one.names})
		pid, youngest = one.parent, one.id.Start
	}
	return list, nil
}

// interprets reports whether what a program runs is said by its arguments alone.
func interprets(program string) bool {
	name := strings.ToLower(path.Base(strings.ReplaceAll(program, `\`, "/")))
	switch strings.TrimRight(strings.TrimSuffix(name, ".exe"), "0123456789.") {
	case "node", "bun", "deno", "python", "pythonw", "py", "pypy", "ruby", "perl", "java", "javaw":
		return true
	}
	return false
}
