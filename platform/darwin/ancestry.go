//go:build unix

package darwin

import (
	"fmt"
	"io"
	"io/fs"
	"strconv"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/darwin/kernel"
	"kpm/platform/unix/ancestry"
)

// Ancestry asks the kernel about one process after the other.
type Ancestry struct {
	system descent
	names  ancestry.Names
}

var _ port.Ancestry = (*Ancestry)(nil)

// descent is what an Ancestry asks of macOS (mac). It is an interface so that the
// Ancestry itself runs on other systems, in its tests.
type descent interface {
	oneProcess
	// programPath returns where the file lies that a process runs.
	programPath(pid int) (string, error)
	// arguments returns a process's arguments, each with a NUL behind it.
	arguments(pid int) ([]byte, error)
}

// oneProcess returns one process with its session, as it is at this moment.
type oneProcess interface {
	process(pid int) (kernel.Process, bool)
}

func newAncestry(on descent) *Ancestry { return &Ancestry{system: on} }

// Ancestors implements port.Ancestry.
func (a *Ancestry) Ancestors(id core.ProcessID) ([]core.Ancestor, error) {
	return ancestry.Walk(id, errVanished, a.ancestor)
}

// Starter implements port.Ancestry.
func (a *Ancestry) Starter(id core.ProcessID) (core.UserID, error) {
	p, there := a.system.process(id.PID)
	if !there || p.Start != id.Start || p.Zombie {
		return "", fmt.Errorf("user of process %s: %w: %w", id, errVanished, fs.ErrNotExist)
	}
	return core.UserID(strconv.FormatUint(uint64(p.RealUser), 10)), nil
}

func (a *Ancestry) ancestor(pid int) (one core.Ancestor, parent int, err error) {
	p, there := a.system.process(pid)
	if !there || p.Zombie {
		return one, 0, fmt.Errorf("process %d: %w", pid, errVanished)
	}
	one = core.Ancestor{ID: core.ProcessID{PID: pid, Start: p.Start}, Terminal: terminalName(p.Terminal), Leader: leaderOf(a.system, p)}
	if p.Name != "" {
		one.Names = append(one.Names, p.Name)
	}
	one.Program, _ = a.system.programPath(pid) // empty if that cannot be seen
	if ancestry.Interprets(one.Program) {
		names, err := a.names.Of(pid, p.User, argumentsOf{a.system, pid})
		if err != nil {
			return one, 0, err
		}
		one.Names = append(one.Names, names...)
	}
	// Asked afterwards: then it was that process, and no other with its pid.
	if again, there := a.system.process(pid); !there || again.Start != p.Start {
		return one, 0, fmt.Errorf("process %d: %w", pid, errVanished)
	}
	return one, p.Parent, nil
}

// leaderOf returns the process that leads a process's session, nobody if that has
// ended. The leader of a session is the oldest in it: a younger process of that number
// leads another one.
func leaderOf(on oneProcess, p kernel.Process) core.ProcessID {
	leader, there := on.process(p.Session)
	if !there || leader.Session != p.Session || leader.Start > p.Start {
		return core.ProcessID{}
	}
	return core.ProcessID{PID: leader.PID, Start: leader.Start}
}

// argumentsOf reads a process's arguments when it is read.
type argumentsOf struct {
	system descent
	pid    int
}

var _ io.ReadCloser = argumentsOf{}

// Read implements io.Reader, once.
func (a argumentsOf) Read(p []byte) (int, error) {
	text, err := a.system.arguments(a.pid)
	return copy(p, text), err
}

// Close implements io.Closer.
func (argumentsOf) Close() error { return nil }

// ptsMajor is the device of pseudo terminals: the second that is free from 15 on when
// the kernel starts (xnu, bsd/kern/tty_ptmx.c, ptmx_init). It serves to name them.
const ptsMajor = 16

// terminalName is a terminal's device as people know it, for a number of the kernel's:
// eight bits of device, 24 of number (sys/types.h, major and minor).
func terminalName(number uint32) string {
	major, minor := number>>24, number&0xffffff
	switch {
	case number == kernel.NoTerminal:
		return ""
	case major == ptsMajor:
		return fmt.Sprintf("ttys%03d", minor)
	}
	return strconv.FormatUint(uint64(major), 10) + ":" + strconv.FormatUint(uint64(minor), 10)
}

// terminalOf is port.Sessions's Terminal.
//
// Attack: a process without a terminal names that of somebody else. What it has open,
// and what its environment says, is not asked: the kernel knows which terminal its
// session has.
func terminalOf(on oneProcess, id core.ProcessID) (core.Terminal, error) {
	p, there := on.process(id.PID)
	if !there || p.Start != id.Start || p.Zombie {
		return core.Terminal{}, fmt.Errorf("terminal of %s: %w: %w", id, errVanished, fs.ErrNotExist)
	}
	if p.Terminal == kernel.NoTerminal {
		return core.Terminal{}, nil
	}
	leader := leaderOf(on, p)
	if of, there := on.process(leader.PID); !there || of.Start != leader.Start || of.Terminal != p.Terminal {
		return core.Terminal{}, fmt.Errorf("terminal of %s: session %d has lost its leader: %w: %w", id, p.Session, errVanished, fs.ErrNotExist)
	}
	return core.Terminal{Device: uint64(p.Terminal), Leader: leader}, nil
}
