//go:build !linux && !windows && !darwin

package platform

import (
	"errors"

	"kpm/core"
	"kpm/trust"
)

// New answers errors.ErrUnsupported: there are no ports for this system.
func New(Options) (Host, error) { return Host{}, errors.ErrUnsupported }

// Inspector answers errors.ErrUnsupported.
func Inspector(string) (core.Files, trust.System, error) { return nil, nil, errors.ErrUnsupported }
