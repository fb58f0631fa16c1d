package none

import (
	"context"
	"errors"

	"kpm/core"
	"kpm/core/port"
)

// Prompts implements port.Prompts.
type Prompts struct{}

var _ port.Prompts = Prompts{}

// Ask implements port.Prompts.
func (Prompts) Ask(context.Context, core.SessionID, string, bool) (string, error) {
	return "", errors.ErrUnsupported
}
