package darwin

import (
	"errors"
	"syscall"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/darwin/tool"
)

// Facts are those of macOS.
func Facts() port.Facts {
	return port.Facts{
		Platform: core.MacOS,
		BaseEnvironment: []string{
			"PATH=" + core.MacOS.PathVariable(),
		},
		Administrator:       "0",
		ServiceAccount:      "0",
		AdministratorGroups: []string{"admin"},
		SystemAccount:       func(a core.Account) bool { return tool.SystemAccount(string(a.User)) },
		PortTaken:           func(err error) bool { return errors.Is(err, syscall.EADDRINUSE) },
	}
}
