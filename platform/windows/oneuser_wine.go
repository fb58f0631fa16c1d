//go:build windows && wine

package windows

import (
	"golang.org/x/sys/windows"

	"kpm/core"
)

// oneUser has this process pass for an administrator's, in a build for tests under
// Wine: services have no more rights there than anybody else.
const oneUser = true

// serviceAccount is whom the service runs as: Wine has one user.
func serviceAccount() core.UserID {
	user, err := tokenUser(windows.GetCurrentProcessToken())
	if err != nil {
		return localSystem
	}
	return user
}
