//go:build darwin

package darwin

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/darwin/tool"
)

// Accounts looks accounts and groups up in the directories that the machine
// searches (Open Directory), by id(1) and dscl(1). They are processes of their own:
// what hangs there is ended, and plug-ins of directories are not in this one.
type Accounts struct{ remembered *remembered }

var _ port.Accounts = Accounts{}

// NewAccounts returns Accounts that remember answers for a moment.
func NewAccounts() Accounts { return Accounts{newRemembered()} }

// Administrator implements port.Accounts.
func (Accounts) Administrator() bool { return os.Geteuid() == 0 }

// ByID implements port.Accounts.
func (a Accounts) ByID(id core.UserID) (core.Account, error) {
	if !tool.Number(string(id)) {
		return core.Account{}, fmt.Errorf("account of user %q: not an id: %w", id, core.ErrNoAccount)
	}
	account, err := a.lookUp(string(id))
	// Attack: an account is called "501". id(1) looks for names first.
	if err == nil && account.User != id {
		err = fmt.Errorf("it is the name of user %s: %w", account.User, core.ErrNoAccount)
	}
	if err != nil {
		return core.Account{}, fmt.Errorf("account of user %q: %w", id, err)
	}
	return account, nil
}

// ByName implements port.Accounts. "#501" is the account of uid 501, as with sudo.
func (a Accounts) ByName(name string) (core.Account, error) {
	if id, isNumber := strings.CutPrefix(name, "#"); isNumber {
		return a.ByID(core.UserID(id))
	}
	if !tool.Name(name) {
		return core.Account{}, fmt.Errorf("account %q: not a name: %w", name, core.ErrNoAccount)
	}
	account, err := a.lookUp(name)
	if err == nil && account.Name != name && !slices.Contains(account.OtherNames, name) {
		err = fmt.Errorf("user %s is %q: %w", account.User, account.Name, core.ErrNoAccount)
	}
	if err != nil {
		return core.Account{}, fmt.Errorf("account %q: %w", name, err)
	}
	return account, nil
}

// lookUp asks for an account by name or id.
func (a Accounts) lookUp(user string) (core.Account, error) {
	return a.remembered.account(user, func() (core.Account, error) {
		identity, err := ask(context.Background(), askTime, tool.AskIdentity(user), "")
		switch {
		case err != nil:
			return core.Account{}, fmt.Errorf("%w: %w", core.ErrNoAnswer, err)
		case identity.status == tool.NoUser:
			return core.Account{}, core.ErrNoAccount
		case identity.status != 0:
			return core.Account{}, fmt.Errorf("%w: id ended with %d: %s", core.ErrNoAnswer, identity.status, strings.TrimSpace(identity.errors))
		}
		account, err := tool.ParseIdentity(string(identity.output))
		if err != nil || !tool.Name(account.Name) {
			return core.Account{}, fmt.Errorf("%w: %w", core.ErrNoAnswer, errors.Join(err, fmt.Errorf("the name %q", account.Name)))
		}
		record, err := ask(context.Background(), askTime, tool.AskUser(account.Name), "")
		switch {
		case err != nil:
			return core.Account{}, fmt.Errorf("%w: %w", core.ErrNoAnswer, err)
		case record.status == tool.NoRecord:
			return core.Account{}, core.ErrNoAccount
		case record.status != 0:
			return core.Account{}, fmt.Errorf("%w: dscl ended with %d: %s", core.ErrNoAnswer, record.status, strings.TrimSpace(record.errors))
		}
		return tool.Complete(account, record.output)
	})
}

// GroupNames implements port.Accounts.
func (a Accounts) GroupNames(ids []string) (map[string][]string, error) {
	all, err := a.remembered.groupNames(func() (map[string][]string, error) {
		answer, err := ask(context.Background(), askTime, tool.AskGroups(), "")
		if err == nil && answer.status != 0 {
			err = fmt.Errorf("dscl ended with %d: %s", answer.status, strings.TrimSpace(answer.errors))
		}
		if err != nil {
			return nil, fmt.Errorf("groups: %w: %w", core.ErrNoAnswer, err)
		}
		names, err := tool.ParseGroups(answer.output)
		if err != nil {
			return nil, fmt.Errorf("groups: %w: %w", core.ErrNoAnswer, err)
		}
		return names, nil
	})
	names := map[string][]string{}
	for _, id := range ids {
		if found := all[id]; found != nil {
			names[id] = found
		}
	}
	return names, err
}

// Share implements port.Accounts: a user of whom an account was seen has a part of
// their own. It asks nobody.
func (a Accounts) Share(id core.UserID) core.UserID {
	if id == "0" || a.remembered.known(id) {
		return id
	}
	return core.Unknown
}
