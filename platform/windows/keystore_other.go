//go:build !windows

package windows

import (
	"errors"

	"kpm/core"
)

func openTBS() (core.TPM, error) { return nil, errors.ErrUnsupported }
