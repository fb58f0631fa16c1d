package port

import "kpm/core"

// Accounts looks accounts up in the machine's own databases. Errors wrap
// core.ErrNoAccount.
type Accounts interface {
	ByID(id core.UserID) (core.Account, error)
	ByName(name string) (core.Account, error)
	// Administrator reports whether this process has an administrator's
	// rights. Where that cannot be told it is true: its environment, which may
	// be somebody else's, then steers nothing.
	Administrator() bool
}
