package fake

import (
	"runtime"

	"kpm/core"
	"kpm/core/port"
)

// Facts are those of the system that the tests run on, where they matter, and
// of nobody in particular elsewhere.
func Facts() port.Facts {
	platform := core.PlatformOf(runtime.GOOS)
	return port.Facts{
		Platform:        platform,
		BaseEnvironment: []string{"PATH=" + platform.PathVariable()},
		Administrator:   Administrator,
		ServiceAccount:  Administrator,

		AdministratorGroups: []string{"admin"},
		SystemAccount:       func(a core.Account) bool { return a.User == Administrator },
		PortTaken:           func(error) bool { return false },
	}
}
