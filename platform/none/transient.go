package none

import (
	"context"
	"errors"

	"kpm/core"
	"kpm/core/port"
)

// TransientAccounts implements port.TransientAccounts.
type TransientAccounts struct{}

var _ port.TransientAccounts = TransientAccounts{}

// Create implements port.TransientAccounts.
func (TransientAccounts) Create(context.Context, uint32, []string) (core.Account, error) {
	return core.Account{}, errors.ErrUnsupported
}

// Remove implements port.TransientAccounts.
func (TransientAccounts) Remove(context.Context, uint32) error { return errors.ErrUnsupported }

// Used implements port.TransientAccounts.
func (TransientAccounts) Used(uint32) (bool, error) { return false, errors.ErrUnsupported }

// Numbers implements port.TransientAccounts.
func (TransientAccounts) Numbers() ([]uint32, error) { return nil, errors.ErrUnsupported }
