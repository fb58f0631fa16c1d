package none

import (
	"errors"

	"kpm/core"
	"kpm/core/port"
)

// Ancestry implements port.Ancestry.
type Ancestry struct{}

var _ port.Ancestry = Ancestry{}

// Ancestors implements port.Ancestry.
func (Ancestry) Ancestors(core.ProcessID) ([]core.Ancestor, error) { return nil, errors.ErrUnsupported }

// Starter implements port.Ancestry.
func (Ancestry) Starter(core.ProcessID) (core.UserID, error) { return "", errors.ErrUnsupported }
