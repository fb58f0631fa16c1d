package port

import (
	"context"

	"kpm/core"
)

// Elevation is something that the system itself was asked to run as an administrator:
// it has asked the person, or refuses them.
type Elevation struct {
	// Path is the program, or the file that it opens, and CommandLine what it would be
	// started with; empty if that is not known. Both are as the system says them, and
	// decide nothing.
	Path, CommandLine string
	// Session is where the person is asked; empty if that is not known any more.
	Session core.SessionID
}

// Elevations watches the system's own way to become an administrator. It stops nothing.
type Elevations interface {
	// Watch calls seen for each elevation that the system is asked for, until ctx is
	// done, one at a time. seen must not wait. Errors wrap errors.ErrUnsupported where
	// the system does not tell.
	Watch(ctx context.Context, seen func(Elevation)) error
}
