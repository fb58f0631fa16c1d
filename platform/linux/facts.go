package linux

import (
	"errors"
	"strconv"
	"syscall"

	"kpm/core"
	"kpm/core/port"
)

// firstPerson is the least uid that people have (login.defs(5), UID_MIN), nobody the
// first one of those that belong to nobody (systemd's UIDS-GIDS.md).
const firstPerson, nobody = 1000, 65534

// reserved is where ids begin that this service gives to what runs for a while: above
// those of systemd's containers.
const reserved = 0x7f000000

// systemAccount reports whether a uid is no person's.
func systemAccount(id string) bool {
	uid, err := strconv.ParseUint(id, 10, 32)
	return err != nil || uid < firstPerson || uid == nobody || uid >= reserved
}

// Facts are those of Linux.
func Facts() port.Facts {
	return port.Facts{
		Platform: core.Linux,
		BaseEnvironment: []string{
			"PATH=" + core.Linux.PathVariable(),
		},
		Administrator:  "0",
		ServiceAccount: "0",
		// Debian's and Ubuntu's, Red Hat's and SUSE's, and older Ubuntus'.
		AdministratorGroups: []string{"sudo", "wheel", "admin"},
		SystemAccount:       func(a core.Account) bool { return systemAccount(string(a.User)) },
		Resumes:             true,
		PortTaken:           func(err error) bool { return errors.Is(err, syscall.EADDRINUSE) },
	}
}
