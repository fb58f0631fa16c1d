//go:build linux

package platform

import (
	"io"
	"os"

	"kpm/core/port"
	"kpm/platform/linux"
)

// Keys returns this machine's key store. Unlike New it starts nothing.
func Keys() port.KeyStore { return linux.KeyStore{} }

// Lock is Host.Lock.
func Lock(path string) (io.Closer, error) { return linux.Lock(path) }

// Private is Host.Private.
func Private(f *os.File) error { return linux.Private(f) }
