//go:build !(windows && wine)

package windows

import "kpm/core"

// oneUser is for the build for Wine.
const oneUser = false

// serviceAccount is whom the service runs as.
func serviceAccount() core.UserID { return localSystem }
