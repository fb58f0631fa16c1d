package service

import (
	"context"

	"kpm/core"
	"kpm/jobs/task"
	"kpm/launcher/control"
)

// dialogs are those that tasks show, and who is told what was said in them.
func (s *service) dialogs() task.Dialogs {
	return task.Dialogs{Programs: control.Dialogs(), Satisfy: s.launcher.SatisfyBy, Decide: s.decideOnDesktop}
}

// desktop is the session in which a user sees windows: the one that is named, if it is
// such, else the one that is in front, or any.
func (s *service) desktop(user core.UserID, session core.SessionID) (core.SessionID, bool) {
	ctx, cancel := context.WithTimeout(context.Background(), sessionsWithin)
	defer cancel()
	sessions, err := s.host.Sessions.List(ctx)
	if err != nil {
		return "", false
	}
	var found *core.Session
	for i, one := range sessions {
		switch {
		case one.User != user || !one.Graphical:
		case one.ID == session:
			return one.ID, true
		case found == nil || one.Active && !found.Active:
			found = &sessions[i]
		}
	}
	if found == nil {
		return "", false
	}
	return found.ID, true
}
