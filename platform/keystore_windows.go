//go:build windows

package platform

import (
	"kpm/core"
	"kpm/platform/windows"
)

// Keys returns this machine's key store. Unlike New it starts nothing.
func Keys() core.KeyStore { return windows.KeyStore{} }
