package caller

// settle has nothing to do: that another process of the same user attaches to this
// one is for the hardened runtime to prevent, with which releases are signed.
func settle() {}

// random is nil: a service of macOS resumes no request, and needs no key of one.
var random func([]byte) error
