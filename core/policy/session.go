package policy

import (
	"kpm/core"
	"kpm/core/fault"
)

// sessionKey is the key of Extension that has a command run as whoever asks, in a login
// session of theirs.
const sessionKey = "UserSession"

// session reads UserSession. What is wrong in it costs the policy its grant: the command
// would run with more rights than were meant.
func (r *reader) session(p *Policy, e fields) {
	v, given := e.filled(sessionKey)
	if !given {
		return
	}
	switch text := v.Text(); {
	case v.IsString() && (text == core.SessionAny || text == core.SessionDesktop):
		p.Session = text
	case v.IsString():
		r.doubt(v, "$.Extension."+sessionKey, fault.Text(text), "User or UserDesktop", "")
	default:
		r.doubt(v, "$.Extension."+sessionKey, describe(v), "User or UserDesktop", "")
	}
}

// session says whether what was met has the command run in a session of whoever asks: it
// does if one of the policies that grant says so, on the desktop if one of them does.
func (x *index) session(found hits) (where string) {
	for _, h := range found {
		if r := &x.rules[h.rule]; r.grants && h.by == full && r.session != "" && where != core.SessionDesktop {
			where = r.session
		}
	}
	return where
}
