package core

// SessionID names a login session as the operating system does: logind's id on
// Linux, the Terminal Services session on Windows, the audit session on macOS.
// It is empty where there is no session.
type SessionID string

// Session is one login session of a user.
type Session struct {
	ID   SessionID
	User UserID
	// Graphical is true if windows can be shown in it.
	Graphical bool
	// Active is true for the session that a person is looking at.
	Active bool
}

// RunAs says in whose name a program runs, by the published execution types.
type RunAs uint8

// The ways to run a program.
const (
	// AsService: as the service account, without a session.
	AsService RunAs = iota
	// AsUser: as a user, without elevation and without windows.
	AsUser
	// AsUserDesktop: as a user, on the desktop of one of the user's sessions.
	AsUserDesktop
	// AsUserElevated: for a user, with the rights that policy has granted.
	AsUserElevated
)

var runAsNames = [...]string{"Service", "User", "UserDesktop", "UserElevated"}

// String returns the published name.
func (r RunAs) String() string { return runAsNames[r] }

// Identity is everything that decides as whom and where a program runs.
type Identity struct {
	RunAs RunAs
	// Account is whom the process becomes.
	Account Account
	// Session is where it runs; empty for AsService, and where the system has
	// no session for the account.
	Session SessionID
	// Login is the user whose login the process belongs to for the operating
	// system's own audit; empty for nobody's.
	Login UserID
}
