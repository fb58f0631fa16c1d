package service

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/view"
	"kpm/core/wire"
)

// Bounds of what people are told of the system's own elevations: how many may wait, how
// often one person hears of one program, and how many of those are remembered.
const (
	maxElevationsSeen = 64
	elevationAgain    = time.Minute
	maxElevationsTold = 1024
	maxElevationShown = 260 // characters of a path
)

// elevations tells people who ask the system itself to run something as an administrator
// what they can ask instead. It stops nothing, and decides nothing by what it hears.
type elevations struct {
	host   port.Host
	notify func(user core.UserID, name, session string, one view.Notice)
	told   map[toldElevation]time.Time
}

type toldElevation struct {
	user core.UserID
	path string
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
		e := elevations{host: s.host, notify: s.notify, told: map[toldElevation]time.Time{}}
		for {
			select {
			case one := <-seen:
				user, err := e.offer(ctx, one)
				s.log.Info("the system was asked to elevate a program", "program", wire.PrintableLine(one.Path), "user", string(user), "session", string(one.Session))
				if err != nil && ctx.Err() == nil {
					s.log.Debug("whom that was is not known", "error", err)
				}
			case <-ctx.Done():
				return
			}
		}
	})
	return nil
}

var errNobodyThere = errors.New("nobody is logged in to the session")

// offer tells whoever is in the session of one, and returns who that is.
func (e *elevations) offer(ctx context.Context, one port.Elevation) (core.UserID, error) {
	user, err := e.whose(ctx, one.Session)
	if err != nil {
		return "", err
	}
	key, now := toldElevation{user, e.host.Facts.Platform.PathKey(one.Path)}, time.Now()
	if last, told := e.told[key]; told && now.Sub(last) < elevationAgain {
		return user, nil
	}
	if len(e.told) >= maxElevationsTold {
		clear(e.told)
	}
	e.told[key] = now
	account, err := e.host.Accounts.ByID(user)
	if err != nil {
		return user, err
	}
	path := fmt.Sprintf("%.*s", maxElevationShown, wire.PrintableLine(one.Path))
	e.notify(user, account.Name, string(one.Session), view.Notice{
		Kind: view.NoticeElevation, ID: path,
		Text: fmt.Sprintf("Windows asks for an administrator for %s: \"Run with Keeper\", in its menu, asks your organization's policy instead", path),
	})
	return user, nil
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
