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

// GroupNames implements port.Accounts.
func (Accounts) GroupNames([]string) (map[string][]string, error) {
	return nil, errors.ErrUnsupported
}

// Share implements port.Accounts.
func (Accounts) Share(core.UserID) core.UserID { return core.Unknown }

// Administrator implements port.Accounts.
func (Accounts) Administrator() bool { return true }
