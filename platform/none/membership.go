package none

import (
	"context"
	"errors"

	"kpm/core"
	"kpm/core/port"
)

// Membership implements port.Membership.
type Membership struct{}

var _ port.Membership = Membership{}

// Members implements port.Membership.
func (Membership) Members(context.Context, string) ([]port.Member, error) {
	return nil, errors.ErrUnsupported
}

// Set implements port.Membership.
func (Membership) Set(context.Context, string, core.Account, bool) error {
	return errors.ErrUnsupported
}

// Spare implements port.Membership.
func (Membership) Spare() (bool, error) { return false, errors.ErrUnsupported }
