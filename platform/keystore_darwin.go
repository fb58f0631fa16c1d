//go:build darwin

package platform

import (
	"kpm/core"
	"kpm/platform/darwin"
)

// Keys returns this machine's key store. Unlike New it starts nothing.
func Keys() core.KeyStore { return darwin.KeyStore{} }
