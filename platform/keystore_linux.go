//go:build linux

package platform

import (
	"kpm/core"
	"kpm/platform/linux"
)

// Keys returns this machine's key store. Unlike New it starts nothing.
func Keys() core.KeyStore { return linux.KeyStore{} }
