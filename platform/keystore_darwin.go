//go:build darwin

package platform

import (
	"io"
	"os"

	"kpm/core/port"
	"kpm/platform/darwin"
)

// Keys returns this machine's key store. Unlike New it starts nothing.
func Keys() port.KeyStore { return darwin.KeyStore{} }

// Lock is Host.Lock.
func Lock(path string) (io.Closer, error) { return darwin.Lock(path) }

// Private is Host.Private.
func Private(f *os.File) error { return darwin.Private(f) }
