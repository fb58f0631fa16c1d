package pam

// Files are where PAM looks for its file about us, in order: one that a device
// management has brought, and the administrator's (Apple's OpenPAM,
// openpam/lib/openpam_configure.c, openpam_policy_path). Without one PAM would take
// what it has for others; so we do not ask.
var Files = []string{"/private/var/db/ManagedConfigurationFiles/com.apple.pam/etc/pam.d/" + Service, "/etc/pam.d/" + Service}

// Library is PAM, and C the library by whose function it frees what it is answered.
// Both are part of the dynamic linker's cache: there is no file that somebody could
// change.
const (
	Library = "/usr/lib/libpam.2.dylib"
	C       = "/usr/lib/libSystem.B.dylib"
)

// Here are the numbers of this system's PAM.
var Here = OpenPAM

// Check looks at the text of the file (CheckOpenPAM).
func Check(text []byte) error { return CheckOpenPAM(text) }
