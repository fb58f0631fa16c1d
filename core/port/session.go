package port

import (
	"context"

	"kpm/core"
)

// Sessions knows who is logged in. A session can end at any moment: whoever
// needs one asks again when it is used. Errors wrap fs.ErrNotExist for a session
// or process that is not there, and errors.ErrUnsupported.
type Sessions interface {
	// List returns all login sessions of people, in no order.
	List(ctx context.Context) ([]core.Session, error)
	// Of returns the session that a process belongs to, empty if it is in none.
	Of(id core.ProcessID) (core.SessionID, error)
	// Terminal returns the controlling terminal of a process, none if it has
	// none.
	Terminal(id core.ProcessID) (core.Terminal, error)
}
