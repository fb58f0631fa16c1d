//go:build !windows

package windows

import (
	"errors"
	"kpm/core/port"
)

func openTBS() (port.TPM, error) { return nil, errors.ErrUnsupported }
