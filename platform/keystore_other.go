//go:build !linux && !windows && !darwin

package platform

import (
	"errors"
	"io"
	"kpm/core/port"
	"os"
)

// Keys returns nil: there is no key store for this system.
func Keys() port.KeyStore { return nil }

// Lock is Host.Lock.
func Lock(string) (io.Closer, error) { return nil, errors.ErrUnsupported }

// Private is Host.Private.
func Private(*os.File) error { return errors.ErrUnsupported }
