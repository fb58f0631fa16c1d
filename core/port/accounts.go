package port

import "kpm/core"

// Accounts looks accounts and groups up in the machine's user database, as it is
// at that moment: the local one, then a directory's. A user or container that
// exists only for as long as something runs has no account, and neither has a
// subordinate id (decision 32a). Errors wrap core.ErrNoAccount for what there is
// not, or core.ErrNoAnswer if a database does not answer in time.
type Accounts interface {
	ByID(id core.UserID) (core.Account, error)
	// ByName returns the account that a name, or "#" and an id, is of.
	ByName(name string) (core.Account, error)
	// GroupNames returns what these groups are called, by id. One may have
	// several names; one that there is not is left out. With core.ErrNoAnswer
	// the names are those that could be found.
	GroupNames(ids []string) (map[string][]string, error)
	// Share is whose part of every limit a user has: their own if they are known
	// to have an account, else the one part that all others have together. It
	// waits for nobody.
	Share(id core.UserID) core.UserID
	// Administrator reports whether this process has an administrator's
	// rights. Where that cannot be told it is true: its environment, which may
	// be somebody else's, then steers nothing.
	Administrator() bool
}
