package prompts

import (
	"errors"
	"fmt"
	"slices"

	"kpm/core"
)

// holders are programs that hold the terminals of one person beside each other, or start
// what has nothing to do with each other. Whoever descends from the same one is not for
// that reason the same. The kernel names them, by the path of what they run.
var holders = []string{
	"/lib/systemd/systemd", "/usr/lib/systemd/systemd",
	"/usr/sbin/sshd", "/usr/lib/openssh/sshd-session", "/usr/libexec/openssh/sshd-session",
	"/usr/bin/tmux", "/usr/bin/screen",
	"/usr/bin/konsole", "/usr/libexec/gnome-terminal-server",
}

// Errors of who may not be asked. They are told to whoever listens.
var (
	ErrNoTerminal = core.NewError(core.NotPermitted, "questions of your requests without a terminal are asked at a terminal: this process has none, or leads no way to it")
	ErrAgent      = core.NewError(core.NotPermitted, "questions of your requests without a terminal are asked of you: this process belongs to a coding agent")
	ErrWhose      = core.NewError(core.NotPermitted, "it is not known which process listens, or what it descends from")
)

// present returns nil if a person may be asked by a process: it has a controlling
// terminal, comes from the leader of that, and from no coding agent.
//
// Attack: a coding agent starts keeperAgent, and answers what it was asked itself.
func (d *Desk) present(id core.ProcessID) error {
	terminal, err := d.cfg.TerminalOf(id)
	switch {
	case errors.Is(err, errors.ErrUnsupported):
		return fmt.Errorf("%w: this system does not tell the terminals of processes", ErrWhose)
	case err != nil:
		return fmt.Errorf("%w: %w", ErrWhose, err)
	case terminal.None():
		return ErrNoTerminal
	}
	by, err := d.cfg.Behind(id)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrWhose, err)
	case by.By == core.ByAgent:
		return ErrAgent
	case by.By != core.ByTerminal:
		return ErrNoTerminal
	}
	return nil
}

// apart reports whether two processes have different terminals, if both have one, and
// neither has come from the other, nor both from a program that user has started, other
// than one of holders. What is not known is not apart.
//
// Attack: a program that is taken for no coding agent makes a terminal of its own, and
// starts keeperAgent there to answer for what else it has started. Or it has what asks
// leave its parents, and says that there is no terminal, in the one where that listens.
func (d *Desk) apart(user core.UserID, asking, listening core.ProcessID) bool {
	here, err := d.cfg.TerminalOf(asking)
	if err != nil {
		return false
	}
	there, err := d.cfg.TerminalOf(listening)
	if err != nil || here.Device == there.Device {
		return false
	}
	one, err := d.cfg.Ancestors(asking)
	if err != nil || len(one) == 0 {
		return false
	}
	other, err := d.cfg.Ancestors(listening)
	if err != nil || len(other) == 0 {
		return false
	}
	if has(one, listening) || has(other, asking) {
		return false
	}
	for _, a := range one {
		if !has(other, a.ID) || slices.Contains(holders, a.Program) {
			continue
		}
		if starter, err := d.cfg.Starter(a.ID); err != nil || starter == user {
			return false
		}
	}
	return true
}

func has(list []core.Ancestor, id core.ProcessID) bool {
	return slices.ContainsFunc(list, func(a core.Ancestor) bool { return a.ID == id })
}
