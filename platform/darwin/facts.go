package darwin

import (
	"kpm/core"
	"kpm/core/port"
)

// Facts are those of macOS.
func Facts() port.Facts {
	return port.Facts{
		Platform: core.MacOS,
		BaseEnvironment: []string{
			"PATH=" + core.MacOS.PathVariable(),
		},
		Administrator:  "0",
		ServiceAccount: "0",
		MakeProtected:  func(path string) string { return "chown root:wheel " + path + "; chmod -N go-w " + path },
		MakePrivate:    func(path string) string { return "chown root:wheel " + path + "; chmod -N 600 " + path },
	}
}
