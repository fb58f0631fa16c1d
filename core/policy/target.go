package policy

import (
	"slices"
	"strings"

	"kpm/core/fault"
)

// whom is the compiled TargetUserCheck: as which users the policy lets a command
// run, or keeps it from running.
type whom struct {
	// unset is true without the filter: a grant means the administrator, and
	// the rest every target (decision 32b).
	unset bool
	any   bool
	names []string // sorted
	ids   []string // sorted
	// open is true when an entry could not be resolved: every target is
	// restricted.
	open bool
}

func (w *whom) match(a *asked) strength {
	switch {
	case w.open:
		return restricts
	case w.unset && !a.q.TargetAdministrator:
		return restricts
	case w.unset || w.any || has(w.names, a.target) || has(w.ids, string(a.q.Target)):
		return full
	}
	// As with users: a bare name may be meant for CORP\name, or may not.
	if bare := bareName(a.target); bare != a.target && has(w.names, bare) {
		return restricts
	}
	return nothing
}

// compileWhom reads entries: "*", a user name, DOMAIN\name, "#id" (uid or SID), or
// the UID of a collection of users.
func (c *compiler) compileWhom(p *Policy) whom {
	w := whom{unset: len(p.Targets) == 0}
	before := c.doubts
	for i, entry := range p.Targets {
		c.at("$.TargetUserCheck", i)
		if entry == "*" {
			w.any = true
			continue
		}
		values := []string{entry}
		if named, isCollection := c.collection(entry, OfUsers, ""); isCollection {
			values = named.Values
		}
		for _, v := range values {
			id, isID := strings.CutPrefix(v, "#")
			switch {
			case isID && id != "":
				w.ids = append(w.ids, id)
			case looksLikeUID(v):
				c.doubt(fault.Text(v)+", which looks like a collection", "a collection of the collections file", `write a user who is really called so as "#uid"`)
			case isID || strings.HasPrefix(v, "%") || strings.ContainsAny(v, "*?"):
				c.doubt(fault.Text(v), `a user name, "#id", a collection of users, or "*" alone`, "a command runs as one user, not as a group")
			default:
				w.names = append(w.names, c.env.fold(v))
			}
		}
	}
	if c.doubts > before {
		return whom{open: true}
	}
	for _, list := range []*[]string{&w.names, &w.ids} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return w
}
