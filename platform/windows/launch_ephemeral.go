//go:build windows

package windows

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"kpm/core"
)

// administratorAccounts makes accounts for one command each, as
// port.TransientAccounts does: disabled ones, whose password nobody knows.
//
// Their numbers are of the upper half, which no account that policy wants for a
// command ever has: those are counted from 1.
type administratorAccounts interface {
	Create(ctx context.Context, number uint32, groups []string) (core.Account, error)
	Remove(ctx context.Context, number uint32) error
	Numbers() ([]uint32, error)
}

// accountTime bounds making or removing an account.
const accountTime = 30 * time.Second

const ownNumbers = maxTransient / 2

// UseAccounts has elevations for which Windows has no token of the person's own run
// as an administrator's account that exists for that command alone. What an earlier
// service has left of them is removed.
func (l *Launcher) UseAccounts(ctx context.Context, accounts administratorAccounts) error {
	numbers, err := accounts.Numbers()
	if err != nil {
		return fmt.Errorf("launcher: accounts that were made for commands: %w", err)
	}
	for _, number := range numbers {
		if number < ownNumbers {
			continue
		}
		if err := accounts.Remove(ctx, number); err != nil {
			return fmt.Errorf("launcher: accounts that were made for commands: %w", err)
		}
	}
	l.accounts = accounts
	return nil
}

// elevated returns the token of an elevation: the person's own with all rights, or
// that of an account for this command.
//
// Attack: an account that is there for longer than the command, or that somebody
// can log in to. It is enabled for the moment of the one logon, its password was
// forgotten when it was made, and it goes with the command.
func (l *Launcher) elevated(ctx context.Context, as core.Identity) (*token, error) {
	t, err := sessionElevated(as)
	if l.accounts == nil || !errors.Is(err, ErrNoElevation) {
		return t, err
	}
	ctx, cancel := context.WithTimeout(ctx, accountTime)
	defer cancel()
	number := ownNumbers + rand.Uint32N(maxTransient-ownNumbers)
	remove := func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), accountTime)
		defer cancel()
		return l.accounts.Remove(ctx, number)
	}
	account, err := l.accounts.Create(ctx, number, []string{string(administrators)})
	if err == nil {
		t, err = l.logOn(account, as)
	}
	if err == nil && !t.elevated() {
		t.close()
		err = fmt.Errorf("%s: %w", account.Name, ErrNoElevation)
	}
	if err != nil {
		return nil, fmt.Errorf("an administrator's account for this command: %w", errors.Join(err, remove()))
	}
	t.ends, t.remove = true, remove
	return t, nil
}
