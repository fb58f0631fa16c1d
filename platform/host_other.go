//go:build !linux && !windows && !darwin

package platform

import (
	"errors"
	"kpm/core/port"
)

// New answers errors.ErrUnsupported: there are no ports for this system.
func New(Options) (Host, error) { return Host{}, errors.ErrUnsupported }

// Inspector answers errors.ErrUnsupported.
func Inspector(string) (port.Files, port.SystemSignatures, error) {
	return nil, nil, errors.ErrUnsupported
}

// Confiner answers errors.ErrUnsupported.
func Confiner(string) (port.Confiner, func() error, error) { return nil, nil, errors.ErrUnsupported }
