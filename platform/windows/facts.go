package windows

import (
	"kpm/core"
	"kpm/core/port"
)

// Well-known SIDs ([MS-DTYP], section 2.4.2.4).
const (
	localSystem    core.UserID = "S-1-5-18"
	administrators core.UserID = "S-1-5-32-544"
)

// Facts are those of Windows.
func Facts() port.Facts {
	return port.Facts{
		Platform: core.Windows,
		BaseEnvironment: []string{
			"PATH=" + core.Windows.PathVariable(),
			`SystemRoot=C:\Windows`,
			`SystemDrive=C:`,
			`ComSpec=C:\Windows\System32\cmd.exe`,
			"PATHEXT=.COM;.EXE;.BAT;.CMD",
		},
		Administrator:  administrators,
		ServiceAccount: localSystem,
		MakeProtected: func(path string) string {
			return `icacls "` + path + `" /setowner *S-1-5-32-544; icacls "` + path + `" /inheritance:r /grant *S-1-5-18:F *S-1-5-32-544:F *S-1-5-32-545:RX`
		},
		MakePrivate: func(path string) string {
			return `icacls "` + path + `" /setowner *S-1-5-32-544; icacls "` + path + `" /inheritance:r /grant *S-1-5-18:F *S-1-5-32-544:F`
		},
	}
}
