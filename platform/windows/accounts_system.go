package windows

import (
	"slices"
	"strings"
)

// domainAdministrators are what a domain's own groups and accounts of administrators
// end with ([MS-DTYP], section 2.4.2.4): Administrator, Domain Admins, Schema Admins,
// Enterprise Admins.
var domainAdministrators = []string{"500", "512", "518", "519"}

// systemAccount reports whether a SID is no person's, or one that is never taken out:
// SYSTEM, LocalService, NetworkService, Administrators, and what is built in.
func systemAccount(id string) bool {
	if slices.Contains([]string{"S-1-5-18", "S-1-5-19", "S-1-5-20", string(administrators)}, id) {
		return true
	}
	if !strings.HasPrefix(id, "S-1-5-21-") && !strings.HasPrefix(id, "S-1-12-1-") { // Entra ID has the second
		return true
	}
	return slices.Contains(domainAdministrators, id[strings.LastIndexByte(id, '-')+1:]) && strings.HasPrefix(id, "S-1-5-21-")
}
