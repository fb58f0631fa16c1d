package darwin

import (
	"fmt"
	"io/fs"

	"kpm/core"
)

// windowsOf returns the user in whose session a program is to be started, "" if in
// none: then it is the service's child, without windows.
//
// Attack: the session's number is another user's by now. What runs as a user runs in
// that user's session or not at all; UserElevated runs as somebody else in the
// session of whoever asked.
func windowsOf(as core.Identity, sessions func() ([]core.Session, error)) (core.UserID, error) {
	if as.RunAs == core.AsService || as.Session == "" {
		return "", nil
	}
	all, err := sessions()
	if err != nil {
		return "", err
	}
	for _, s := range all {
		switch {
		case s.ID != as.Session:
		case as.RunAs != core.AsUserElevated && s.User != as.Account.User:
			return "", fmt.Errorf("session %s is user %s's, and the program is to run as user %s", s.ID, s.User, as.Account.User)
		default:
			return s.User, nil
		}
	}
	return "", fmt.Errorf("session %s has ended, or shows no windows (SSH): %w", as.Session, fs.ErrNotExist)
}
