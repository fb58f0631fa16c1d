//go:build !linux && !windows && !darwin

package platform

import "kpm/core"

// Keys returns nil: there is no key store for this system.
func Keys() core.KeyStore { return nil }
