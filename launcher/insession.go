package launcher

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"kpm/core"
	"kpm/launcher/journal"
)

// Errors of commands that are to run in the session of whoever asked.
var (
	errNoSession = core.NewError(core.Conflict, "it is to run in your login session, and you ask from none: log in, at the console, by ssh or on a desktop, and ask there")
	errNoDesktop = core.NewError(core.Conflict, "it is to run on your desktop, and you are logged in on none: log in graphically, and ask again")
	errNotYours  = core.NewError(core.Conflict, "it is to run in your login session, which has your rights and nobody else's")
	// errWhatSession is of a KeeperPolicy that is newer than this service.
	errWhatSession = core.NewError(core.Conflict, "policy has it run in a session that this service does not know")
)

// inSession is where the command of a request runs, if it is in a session of whoever
// asked.
type inSession struct {
	as      core.RunAs
	session core.SessionID
}

// LaunchInSession starts what request id is about as whoever asked, with their own
// rights, in the login session that they ask from; with AsUserDesktop in the one that
// shows them windows. Otherwise it is Launch: it consumes the request. Where there is no
// such session, the request fails, and its caller is told what to do.
func (l *Launcher) LaunchInSession(ctx context.Context, from core.Principal, id core.RequestID, as core.RunAs) error {
	if as != core.AsUser && as != core.AsUserDesktop {
		return fmt.Errorf("launcher: launch in a session as %s: %w", as, ErrNotPermitted)
	}
	return l.launch(ctx, from, id, func(e *elevation) error { return l.putInSession(e, from, as) })
}

// putInSession has the command of e run as whoever asked.
func (l *Launcher) putInSession(e *elevation, from core.Principal, as core.RunAs) error {
	where, err := l.ownSession(e, as)
	if err != nil {
		return err
	}
	caller := e.sealed.Subject.Caller
	err = l.cfg.Journal.Append(journal.Record{
		Type: journal.InSession, Request: e.id, UserID: caller.User, User: caller.Name, TargetID: caller.User, Target: caller.Name,
		By: from.String(), Cause: as.String(), Message: "login session " + string(where.session),
	})
	if err != nil {
		return err
	}
	l.note(e, func() { e.where, e.as = &where, caller })
	return nil
}

// placing is where the command of e runs, by policy and by the endpoint that a job has
// asked: nil is wherever the target user's commands do.
//
// Attack: a launch job that knows nothing of UserSession would run as root what policy has
// allowed with the person's own rights alone. So policy's word holds, whatever is asked.
func (l *Launcher) placing(e *elevation, from core.Principal, asked func(*elevation) error) func(*elevation) error {
	session := ""
	l.note(e, func() { session = e.session })
	as := core.AsUser
	switch session {
	case "":
		return asked
	case core.SessionAny:
	case core.SessionDesktop:
		as = core.AsUserDesktop
	default:
		return func(*elevation) error { return errWhatSession }
	}
	return func(e *elevation) error { return l.putInSession(e, from, as) }
}

// ownSession is where the command of e is to run. The session comes from the kernel's
// word about who asks, and whoever starts the program there asks again whose it is.
//
// Attack: what policy allowed as an administrator takes an administrator's open files or
// copies along into a process that its caller can trace. So nothing is handed over but
// what the caller has: no copy that is another user's, and no open argument.
func (l *Launcher) ownSession(e *elevation, as core.RunAs) (inSession, error) {
	s := e.sealed.Subject
	var made *core.TransientTerms
	l.note(e, func() { made = e.account })
	switch {
	case made != nil:
		return inSession{}, fmt.Errorf("policy has it run as an account that is made for it: %w", errNotYours)
	case s.Target.User != l.cfg.Facts.Administrator && s.Target.User != s.Caller.User:
		return inSession{}, fmt.Errorf("user %s was asked for: %w", s.Target.Name, errNotYours)
	case s.Target.User != s.Caller.User && !s.Executable.Protected:
		return inSession{}, fmt.Errorf("the program is one that users can change, and was copied for %s alone: %w", s.Target.Name, errNotYours)
	}
	where := inSession{as: as}
	if as == core.AsUserDesktop {
		session, there := l.desktop(e)
		if !there {
			return inSession{}, errNoDesktop
		}
		where.session = session
		return where, nil
	}
	where.session = cmp.Or(l.session(e), e.submitted.Peer.Session)
	if where.session == "" {
		return inSession{}, errNoSession
	}
	return where, nil
}

// where is where the command of e runs, nil if that is not in a session of whoever asked.
func (l *Launcher) where(e *elevation) *inSession {
	l.mu.Lock()
	defer l.mu.Unlock()
	return e.where
}

// placeKind is what an error of a launch is to the job that asked for it.
func placeKind(err error) core.ErrorKind {
	if errors.Is(err, errNoSession) || errors.Is(err, errNoDesktop) || errors.Is(err, errNotYours) || errors.Is(err, errWhatSession) {
		return core.Conflict
	}
	return core.Internal
}
