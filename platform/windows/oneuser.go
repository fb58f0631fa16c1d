//go:build !(windows && wine)

package windows

import "kpm/core"

// serviceAccount is whom the service runs as.
func serviceAccount() core.UserID { return localSystem }
