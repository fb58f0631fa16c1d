package linux

import (
	"kpm/core"
	"kpm/core/port"
)

// Facts are those of Linux.
func Facts() port.Facts {
	return port.Facts{
		Platform: core.Linux,
		BaseEnvironment: []string{
			"PATH=" + core.Linux.PathVariable(),
		},
		Administrator:  "0",
		ServiceAccount: "0",
		MakeProtected:  func(path string) string { return "chown root:root " + path + "; chmod go-w " + path },
		MakePrivate:    func(path string) string { return "chown root:root " + path + "; chmod 600 " + path },
	}
}
