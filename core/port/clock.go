package port

import "time"

// Clock tells time that nobody can set.
type Clock interface {
	// Now returns the name of the time since the machine was last started, and how
	// much of it has passed, sleep included. Errors wrap errors.ErrUnsupported.
	Now() (boot string, since time.Duration, err error)
}
