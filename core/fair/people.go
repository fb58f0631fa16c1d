package fair

import "kpm/core"

// People says to everything that is bounded who is one person, and who comes
// first. Every bound of a user is counted for their person, so that many users
// who are one person, or of whom nothing is known, have one share. The zero
// value takes each user for a person of their own, and nobody first.
type People struct {
	// Person is whose share a user uses up. It is asked for every connection,
	// before anything is done for it, and must not wait.
	Person func(core.UserID) core.UserID
	// Foremost reports whether a person comes first: what is set aside is for
	// administrators, and for what the service itself has started.
	Foremost func(core.UserID) bool
}

// Of is whose share user uses up.
func (p People) Of(user core.UserID) core.UserID {
	if p.Person == nil {
		return user
	}
	return p.Person(user)
}

// First reports whether who comes first.
func (p People) First(who core.UserID) bool { return p.Foremost != nil && p.Foremost(who) }
