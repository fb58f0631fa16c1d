//go:build !linux && !windows && !darwin

package platform

import "errors"

// New answers errors.ErrUnsupported: there are no ports for this system.
func New(Options) (Host, error) { return Host{}, errors.ErrUnsupported }
