package none

import (
	"errors"

	"kpm/core"
	"kpm/core/port"
)

// Accounts implements port.Accounts.
type Accounts struct{}

var _ port.Accounts = Accounts{}

// ByID implements port.Accounts.
func (Accounts) ByID(core.UserID) (core.Account, error) {
	return core.Account{}, errors.ErrUnsupported
}

// ByName implements port.Accounts.
func (Accounts) ByName(string) (core.Account, error) { return core.Account{}, errors.ErrUnsupported }

// Administrator implements port.Accounts.
func (Accounts) Administrator() bool { return true }
