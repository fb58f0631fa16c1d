package none

import (
	"errors"
	"os"

	"kpm/core"
	"kpm/core/port"
)

// Terminals implements port.Terminals.
type Terminals struct{}

var _ port.Terminals = Terminals{}

// IsTerminal implements port.Terminals.
func (Terminals) IsTerminal(*os.File) bool { return false }

// Name implements port.Terminals.
func (Terminals) Name(*os.File) string { return "" }

// Open implements port.Terminals.
func (Terminals) Open(core.Identity) (port.Terminal, error) { return nil, errors.ErrUnsupported }
