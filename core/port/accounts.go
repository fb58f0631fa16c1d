package port

import "kpm/core"

// Accounts looks accounts up in the machine's own databases. Errors wrap
// core.ErrNoAccount.
type Accounts interface {
	ByID(id core.UserID) (core.Account, error)
	ByName(name string) (core.Account, error)
}
