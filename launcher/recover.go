package launcher

import (
	"errors"
	"fmt"

	"kpm/core"
	"kpm/core/port"
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
	gone := l.gone(replay.Open)
	var errs []error
	for _, open := range replay.Open {
		if err := l.recover(open, gone[open.Request]); err != nil {
			errs = append(errs, fmt.Errorf("launcher: recover %s: %w", open.Request, err))
		}
	}
	return errors.Join(errs...)
}

// gone are those of which nothing is left that commands had left behind, by one look for
// all of them: there may be maxLeft. What cannot be seen may be there.
func (l *Launcher) gone(open []journal.Unfinished) map[core.RequestID]bool {
	var ids []core.RequestID
	var groups []port.Group
	for _, o := range open {
		if o.Last == journal.Left {
			ids, groups = append(ids, o.Request), append(groups, port.Group{Root: o.Child.ID(), Name: o.Child.Group})
		}
	}
	if len(groups) == 0 {
		return nil
	}
	occupied, err := l.cfg.Tree.Occupied(groups)
	if err != nil {
		l.cfg.Log.Warn("what ended commands have left is not known", "error", err)
		return nil
	}
	gone := map[core.RequestID]bool{}
	for i, id := range ids {
		gone[id] = !occupied[i]
	}
	return gone
}

// recover deals with one of them. gone says that nothing is left of what was left behind.
func (l *Launcher) recover(open journal.Unfinished, gone bool) error {
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
		if gone {
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
		killed, err := l.cfg.Tree.KillGroups(port.Group{Root: open.Child.ID(), Name: open.Child.Group})
		r.Killed = killed
		if err != nil {
			r.Message += ": " + err.Error()
		}
	}
	return l.cfg.Journal.Append(r)
}
