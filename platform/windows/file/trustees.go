//go:build windows

package file

import "golang.org/x/sys/windows"

// Who may change a file that is Protected, and own it ([MS-DTYP], section
// 2.4.2.4): the system itself, administrators, what installs Windows' updates (NT
// SERVICE\TrustedInstaller), which owns what Windows consists of, and the service.
var systemTrustees = []string{
	"S-1-5-18",
	"S-1-5-32-544",
	"S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464",
	Service,
}

// Other trustees that a list of access rights names.
const (
	ownerRights = "S-1-3-4" // whoever owns the object, which is one of the above
)

// trusted reports whether a SID is one of those who may change what is
// Protected.
func trusted(sid *windows.SID) bool {
	if sid == nil {
		return false
	}
	text := sid.String()
	for _, t := range append(systemTrustees, theOneUser()...) {
		if text == t {
			return true
		}
	}
	return false
}
