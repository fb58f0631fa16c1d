package none

import (
	"context"
	"errors"

	"kpm/core"
	"kpm/core/port"
)

// Sessions implements port.Sessions.
type Sessions struct{}

var _ port.Sessions = Sessions{}

// List implements port.Sessions.
func (Sessions) List(context.Context) ([]core.Session, error) { return nil, errors.ErrUnsupported }

// Of implements port.Sessions.
func (Sessions) Of(core.ProcessID) (core.SessionID, error) { return "", errors.ErrUnsupported }

// Terminal implements port.Sessions.
func (Sessions) Terminal(core.ProcessID) (core.Terminal, error) {
	return core.Terminal{}, errors.ErrUnsupported
}
