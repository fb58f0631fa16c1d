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

// GroupNames implements port.Accounts: the group that has the id of an account
// has its name.
func (a Accounts) GroupNames(ids []string) (map[string][]string, error) {
	names := map[string][]string{}
	for _, id := range ids {
		if account, err := a.ByID(core.UserID(id)); err == nil {
			names[id] = append(names[id], account.Name)
		}
	}
	return names, nil
}

// Share implements port.Accounts.
func (a Accounts) Share(id core.UserID) core.UserID {
	if _, err := a.ByID(id); err != nil {
		return core.Unknown
	}
	return id
}

// Administrator implements port.Accounts.
func (Accounts) Administrator() bool { return none.Accounts{}.Administrator() }
