//go:build !linux && !windows && !darwin

package platform

import (
	"errors"
	"io"
	"os"

	"kpm/core"
)

// Keys returns nil: there is no key store for this system.
func Keys() core.KeyStore { return nil }

// Lock is Host.Lock.
func Lock(string) (io.Closer, error) { return nil, errors.ErrUnsupported }

// Private is Host.Private.
func Private(*os.File) error { return errors.ErrUnsupported }
