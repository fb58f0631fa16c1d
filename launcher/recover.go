package launcher

import (
	"errors"
	"fmt"

	"kpm/core"
	"kpm/launcher/journal"
	"kpm/launcher/request"
)

// Recover deals with what an earlier service left open: requests that were not
// launched fail, since their callers ask again, and commands that were launched
// are resumed, so that their callers hear how they end (decision 33a). Where
// nothing can be resumed they are ended. It is called once, before anyone can
// reach the service. The error is that of a record which could not be written.
func (l *Launcher) Recover(replay journal.Replay) error {
	if replay.Fault != nil {
		l.cfg.Log.Error("the journal was changed: keep it, and run KeeperAdminCLI audit verify", "fault", replay.Fault)
	}
	if replay.Cut > 0 {
		l.cfg.Log.Warn("an unfinished end of the journal was removed", "bytes", replay.Cut)
	}
	var errs []error
	for _, open := range replay.Open {
		if err := l.recover(open); err != nil {
			errs = append(errs, fmt.Errorf("launcher: recover %s: %w", open.Request, err))
		}
	}
	return errors.Join(errs...)
}

func (l *Launcher) recover(open journal.Unfinished) error {
	if open.Caller != nil {
		switch open.Last {
		case journal.Launched:
			err := l.resume(open)
			if err == nil {
				return nil
			}
			l.cfg.Log.Warn("a command cannot be resumed", "request", open.Request, "error", err)
		case journal.Ended, journal.Failed:
			l.answered(open)
			return nil
		case journal.Left:
			l.answered(open)
		}
	}
	if open.Last == journal.Left {
		child := *open.Child
		if l.cfg.Tree.Empty(child.ID(), child.Group) {
			return l.cfg.Journal.Append(journal.Record{Type: journal.Gone, Request: open.Request})
		}
		l.cfg.Registry.RegisterElevated(child.ID(), child.Group)
		l.ruleAgain(open)
		l.leftovers.keep(open.Request, leftover{Child: child})
		return nil
	}
	r := journal.Record{
		Type: journal.Failed, Request: open.Request, Child: open.Child,
		By: core.ServicePrincipal().String(), Cause: string(request.Fault), Message: "service-restarted",
	}
	if open.Child != nil {
		killed, err := l.cfg.Tree.KillGroup(open.Child.ID(), open.Child.Group)
		r.Killed = killed
		if err != nil {
			r.Message += ": " + err.Error()
		}
	}
	return l.cfg.Journal.Append(r)
}
