package pam

// Files are where PAM looks for its file about us, in order. Without one PAM would
// take what it has for others, which may allow everything or nothing; so we do not
// ask.
var Files = []string{"/etc/pam.d/" + Service, "/usr/lib/pam.d/" + Service}

// Library is PAM, where the system's loader finds libraries, and C the library by
// whose function it frees what it is answered.
const (
	Library = "libpam.so.0"
	C       = "libc.so.6"
)

// Here are the numbers of this system's PAM.
var Here = Linux

// Check looks at the text of the file: but for ErrAsksNobody, whatever it says is the
// administrator's. What another file is included for is not read.
func Check(text []byte) error { return checkRootOK(text) }
