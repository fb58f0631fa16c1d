package service

import (
	"context"
	"errors"
	"fmt"

	"kpm/core"
	"kpm/core/fair"
	"kpm/core/port"
	"kpm/core/view"
	"kpm/core/wire"
)

// Bounds of what people are told of the system's own elevations: how many may wait, and
// how many one person hears of, at once and one every so many seconds; of the same
// program once a minute.
const (
	maxElevationsSeen = 64
	elevationsAtOnce  = 5
	elevationsEvery   = 20  // seconds
	maxElevationShown = 260 // characters of a path
)

// elevations tells people who ask the system itself to run something as an administrator
// what they can ask instead. It stops nothing, and decides nothing by what it hears.
//
// Attack: Windows lets everybody write events in its own provider's name. Somebody
// writes them all day, each about another program, to fill the log, or so that others
// are not told of theirs.
type elevations struct {
	host     port.Host
	notify   func(user core.UserID, name, session string, one view.Notice)
	mentions *fair.Mentions
	rate     *fair.Rate[core.UserID]
}

func newElevations(host port.Host, notify func(user core.UserID, name, session string, one view.Notice)) *elevations {
	return &elevations{host: host, notify: notify, mentions: fair.NewMentions(), rate: fair.NewRate[core.UserID](1.0/elevationsEvery, elevationsAtOnce)}
}

// serveElevations watches the system's own elevations from now on, if that is switched on.
func (s *service) serveElevations(ctx context.Context, _ Options) error {
	if !s.inForce.Interception.Elevations {
		return nil
	}
	seen := make(chan port.Elevation, maxElevationsSeen)
	s.background(ctx, func(ctx context.Context) {
		err := s.host.Elevations.Watch(ctx, func(e port.Elevation) {
			select {
			case seen <- e:
			default: // so many that nobody reads what is said of one more
			}
		})
		if err != nil && ctx.Err() == nil {
			s.log.Warn("elevations that the system itself is asked for are not watched (Interception:Elevations)", "error", err)
		}
	})
	s.background(ctx, func(ctx context.Context) {
		e := newElevations(s.host, s.notify)
		for {
			select {
			case one := <-seen:
				user, told, err := e.offer(ctx, one)
				if told {
					s.log.Info("the system was asked to elevate a program", "program", wire.PrintableLine(one.Path), "user", string(user), "session", string(one.Session))
				}
				if err != nil && ctx.Err() == nil {
					s.log.Debug("whom the system was asked to elevate a program for is not known", "error", err)
				}
			case <-ctx.Done():
				return
			}
		}
	})
	return nil
}

var errNobodyThere = errors.New("nobody is logged in to the session")

// offer tells whoever is in the session of one, and returns who that is, and whether
// they were told.
func (e *elevations) offer(ctx context.Context, one port.Elevation) (user core.UserID, told bool, err error) {
	if user, err = e.whose(ctx, one.Session); err != nil {
		return "", false, err
	}
	worth, _ := e.mentions.Worth(user, e.host.Facts.Platform.PathKey(one.Path))
	if !worth || e.rate.Take(user, 1) > 0 {
		return user, false, nil
	}
	account, err := e.host.Accounts.ByID(user)
	if err != nil {
		return user, false, err
	}
	path := fmt.Sprintf("%.*s", maxElevationShown, wire.PrintableLine(one.Path))
	e.notify(user, account.Name, string(one.Session), view.Notice{
		Kind: view.NoticeElevation, ID: path,
		Text: fmt.Sprintf("Windows asks for an administrator for %s: \"Run with Keeper\", in its menu, asks your organization's policy instead", path),
	})
	return user, true, nil
}

// whose is who is logged in to a session.
func (e *elevations) whose(ctx context.Context, session core.SessionID) (core.UserID, error) {
	sessions, err := e.host.Sessions.List(ctx)
	if err != nil {
		return "", err
	}
	for _, s := range sessions {
		if s.ID == session && session != "" {
			return s.User, nil
		}
	}
	return "", errNobodyThere
}
