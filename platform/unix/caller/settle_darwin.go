package caller

import "os"

// settle has nothing to do: that another process of the same user attaches to this
// one is for the hardened runtime to prevent, with which releases are signed.
func settle() {}

// random is nil: a service of macOS resumes no request, and needs no key of one.
var random func([]byte) error

// asStarted returns the environment of the next program.
func asStarted() []string { return os.Environ() }
