package none

import (
	"context"
	"errors"

	"kpm/core"
	"kpm/core/port"
)

// Authenticator implements port.Authenticator.
type Authenticator struct{}

var _ port.Authenticator = Authenticator{}

// Authenticate implements port.Authenticator.
func (Authenticator) Authenticate(context.Context, core.Account, port.Conversation) error {
	return errors.ErrUnsupported
}
