//go:build windows

package platform

import (
	"io"
	"os"

	"kpm/core/port"
	"kpm/platform/windows"
)

// Keys returns this machine's key store. Unlike New it starts nothing.
func Keys() port.KeyStore { return windows.KeyStore{} }

// Lock is Host.Lock.
func Lock(path string) (io.Closer, error) { return windows.Lock(path) }

// Private is Host.Private.
func Private(f *os.File) error { return windows.Private(f) }
