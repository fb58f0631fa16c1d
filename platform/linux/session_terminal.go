//go:build linux

package linux

import (
	"errors"
	"fmt"
	"io/fs"

	"kpm/core"
)

// Terminal implements port.Sessions.
//
// Attack: a process without a terminal names that of somebody else. What it has
// open, and what its environment says, is not asked: the kernel knows which
// terminal its session has.
func (Sessions) Terminal(id core.ProcessID) (core.Terminal, error) {
	t, err := terminalOf(id)
	if errors.Is(err, errVanished) {
		err = fmt.Errorf("%w: %w", err, fs.ErrNotExist)
	}
	if err != nil {
		return core.Terminal{}, fmt.Errorf("terminal of %s: %w", id, err)
	}
	return t, nil
}

func terminalOf(id core.ProcessID) (core.Terminal, error) {
	process, err := statOf(id.PID)
	if err != nil {
		return core.Terminal{}, err
	}
	if process.start != id.Start {
		return core.Terminal{}, fmt.Errorf("process %d is another one by now: %w", id.PID, errVanished)
	}
	if process.terminal == 0 {
		return core.Terminal{}, nil
	}
	leader, err := statOf(process.session)
	if err != nil {
		return core.Terminal{}, err
	}
	// The leader of a session is the oldest in it. A younger process of that number
	// leads another one, and the terminal has been taken away.
	if leader.session != process.session || leader.start > process.start || leader.terminal != process.terminal {
		return core.Terminal{}, fmt.Errorf("session %d has lost its leader: %w", process.session, errVanished)
	}
	return core.Terminal{Device: uint64(process.terminal), Leader: core.ProcessID{PID: leader.pid, Start: leader.start}}, nil
}
