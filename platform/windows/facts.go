package windows

import (
	"errors"
	"syscall"

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
		Administrator:       administrators,
		ServiceAccount:      serviceAccount(),
		AdministratorGroups: []string{string(administrators)},
		SystemAccount:       func(a core.Account) bool { return systemAccount(string(a.User)) },
		// WSAEADDRINUSE; package syscall's own EADDRINUSE is none of Windows's numbers.
		PortTaken: func(err error) bool { return errors.Is(err, syscall.Errno(10048)) },
	}
}
