package libpam

import "errors"

// session opens none: on a Mac a session is launchd's, and what a program may use is
// not PAM's to say.
func (t *transaction) session() error { return t.end(errors.New("PAM opens no sessions here")) }
