package dialog

import (
	"context"

	"kpm/core"
)

// Desktop is where a question is shown: in a session of that user, by name.
type Desktop struct {
	User    string
	Session core.SessionID
}

// Show shows a question on a desktop and returns what became of it. When ctx ends the
// dialog is closed. Errors, and an answer that is Unavailable, mean that nobody was
// asked.
type Show func(ctx context.Context, on Desktop, q Question) (Answer, error)
