package start

import (
	"context"
	"errors"
	"fmt"

	"kpm/core"
	"kpm/core/port"
)

// errNobody is why a program in a user's session is not started.
var errNobody = core.NewError(core.Conflict, "nobody is logged in whose session it could run in")

// errNoDesktop is the same of a program that is to show windows.
var errNoDesktop = core.NewError(core.Conflict, "nobody is logged in whose desktop it could run on; log in graphically")

// StartUser starts a job task in a user's session: as that user, or for UserElevated as
// the service account there. It is as Protected, and as registered, as any task, and
// carries no authority: that user can change what it says (decision 27). Errors wrap
// errors.ErrUnsupported where there are no sessions.
func (s *Starter) StartUser(ctx context.Context, what core.UserSpec) (port.Process, error) {
	what.As.InUserSession = true
	as, err := s.identity(ctx, what)
	if err == nil {
		var process port.Process
		if process, err = s.startAs(ctx, what.ServiceSpec, as); err == nil {
			return process, nil
		}
	}
	return nil, fmt.Errorf("start %s: %w", what.Path, err)
}

// identity finds the session that is meant, now: it can end at any moment.
func (s *Starter) identity(ctx context.Context, what core.UserSpec) (core.Identity, error) {
	sessions, err := s.Sessions.List(ctx)
	if errors.Is(err, errors.ErrUnsupported) {
		return core.Identity{}, fmt.Errorf("users' sessions are not known on this system: %w", err)
	}
	if err != nil {
		return core.Identity{}, err
	}
	var user core.UserID
	if what.User != "" {
		account, err := s.Accounts.ByName(what.User)
		if err != nil {
			return core.Identity{}, err
		}
		user = account.User
	}
	var found *core.Session
	for _, session := range sessions {
		switch {
		case user != "" && session.User != user, what.Session != "" && session.ID != what.Session,
			what.RunAs == core.AsUserDesktop && !session.Graphical:
		case user == "" && what.Session == "" && !session.Active: // the person at the machine
		case found == nil || session.Active && !found.Active:
			found = &session
		}
	}
	switch {
	case found == nil && what.RunAs == core.AsUserDesktop:
		return core.Identity{}, errNoDesktop
	case found == nil:
		return core.Identity{}, errNobody
	}
	// Attack: a session that has become somebody else's.
	account, err := s.Accounts.ByID(found.User)
	if err != nil {
		return core.Identity{}, err
	}
	if what.RunAs == core.AsUserElevated {
		if account, err = s.Accounts.ByID(s.Facts.ServiceAccount); err != nil {
			return core.Identity{}, err
		}
	}
	return core.Identity{RunAs: what.RunAs, Account: account, Session: found.ID, Login: found.User}, nil
}
