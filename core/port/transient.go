package port

import (
	"context"

	"kpm/core"
)

// TransientPrefix begins the name of every account that TransientAccounts makes:
// the published name, and behind a hyphen the account's number. Windows has no room
// for all of it.
const TransientPrefix = "keeperusersession-"

// TransientAccounts makes accounts for one command each. Nobody can log in to them.
type TransientAccounts interface {
	// Create makes the account TransientPrefix and number, a member of groups, with a
	// home folder of its own. No two calls have the same number as long as there may
	// be files of the earlier account. What was made by half is there for Remove.
	Create(ctx context.Context, number uint32, groups []string) (core.Account, error)
	// Remove ends every process of an account, and removes its home, its group and
	// the account. What there is not is no error.
	Remove(ctx context.Context, number uint32) error
	// Used reports whether a process runs as an account.
	Used(number uint32) (bool, error)
	// Numbers returns those of the accounts that this agent has made, and of homes that
	// are left of one, sorted.
	Numbers() ([]uint32, error)
}
