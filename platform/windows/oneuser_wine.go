//go:build windows && wine

package windows

import (
	"golang.org/x/sys/windows"

	"kpm/core"
	"kpm/platform/windows/confined"
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

// seen has a process pass for confined, in a build for tests under Wine, where it
// is one like any other: tokens keep their rights, and jobs no limits. That its
// first token was taken from it must be so.
func seen(f confinedFacts) confinedFacts {
	return confinedFacts{
		restrictedTo: []string{nobody}, impersonates: f.impersonates,
		jobLimits: jobLimits, jobProcesses: 1, jobMemory: confined.MaxMemory, jobTime: confined.MaxTime * 1e7,
	}
}
