package port

import "context"

// Interception puts policy before the system's own ways to become an
// administrator ("sudo", "uac", "exec"). Each has a switch of its own. Errors
// wrap errors.ErrUnsupported for a way that this system does not have.
type Interception interface {
	// Enable turns one way on. It is not an error if it already is.
	Enable(ctx context.Context, way string) error
	// Disable undoes Enable, also what an earlier service has enabled. It works
	// without a running service: nobody may be locked out.
	Disable(ctx context.Context, way string) error
}
