//go:build windows

package windows

import (
	"errors"
	"fmt"
	"kpm/core/port"

	"github.com/google/go-tpm/tpm2/transport/windowstpm"
	"github.com/google/go-tpm/tpmutil/tbs"
)

func openTBS() (port.TPM, error) {
	t, err := windowstpm.Open()
	if errors.Is(err, windowstpm.ErrNotTPM20) || errors.Is(err, tbs.ErrTPMNotFound) {
		return nil, fmt.Errorf("%w: %w", port.ErrNoTPM, err)
	}
	if err != nil {
		return nil, fmt.Errorf("TPM Base Services: %w", err)
	}
	return t, nil
}
