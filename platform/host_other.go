//go:build !linux && !windows && !darwin

package platform

import (
	"errors"

	"kpm/core/port"
	"kpm/platform/none"
)

// Tools returns a host without any port.
func Tools(string) port.Host { return none.Host(port.Facts{}) }

// Prepare answers errors.ErrUnsupported, too.
func Prepare(string) (port.Files, error) { return nil, errors.ErrUnsupported }

// New answers errors.ErrUnsupported: there are no ports for this system.
func New(Options) (port.Host, error) { return port.Host{}, errors.ErrUnsupported }
