package fake

import (
	"fmt"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/none"
)

// Administrator is the administrator of every fake machine.
const Administrator core.UserID = "0"

// Accounts are the accounts of a machine.
type Accounts []core.Account

var _ port.Accounts = Accounts{}

// ByID implements port.Accounts.
func (a Accounts) ByID(id core.UserID) (core.Account, error) {
	for _, account := range a {
		if account.User == id {
			return account, nil
		}
	}
	return core.Account{}, fmt.Errorf("account #%s: %w", id, core.ErrNoAccount)
}

// ByName implements port.Accounts.
func (a Accounts) ByName(name string) (core.Account, error) {
	for _, account := range a {
		if account.Name == name {
			return account, nil
		}
	}
	return core.Account{}, fmt.Errorf("account %q: %w", name, core.ErrNoAccount)
}

// Administrator implements port.Accounts.
func (Accounts) Administrator() bool { return none.Accounts{}.Administrator() }
