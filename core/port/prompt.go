package port

import (
	"context"

	"kpm/core"
)

// Prompts asks the person in a session. What a person enters there proves
// nothing: programs of the same user can enter it as well (decision 27). Errors
// wrap core.ErrCancelled if the person declined, ctx's error, fs.ErrNotExist if
// the session has gone, and errors.ErrUnsupported.
type Prompts interface {
	// Ask shows text, which is printable, and returns what was entered. secret
	// keeps it from being shown.
	Ask(ctx context.Context, session core.SessionID, text string, secret bool) (string, error)
}
