package port

import (
	"context"

	"kpm/core"
)

// Membership is who is in the machine's groups of administrators, and changes it.
// It decides nothing: whom to take out, and whom never, is for its caller.
type Membership interface {
	// Members returns the accounts that are in a group of this machine's own, called
	// as the system does (a name; on Windows a SID too). What is listed and has no
	// account is left out. Errors wrap core.ErrNoGroup.
	Members(ctx context.Context, group string) ([]Member, error)
	// Set makes an account a member of a group, or ends that it is one. It returns
	// when the machine's database says so, and does nothing where it does already.
	// Errors wrap core.ErrNoGroup.
	Set(ctx context.Context, group string, account core.Account, member bool) error
	// Spare reports whether the administrator's own account, which is in no group
	// (root), can log in with a password: then nobody is the last administrator.
	Spare() (bool, error)
}

// Member is an account in a group.
type Member struct {
	Account core.Account
	// Fixed is why the account cannot be taken out by Set; empty if it can.
	Fixed string
}
