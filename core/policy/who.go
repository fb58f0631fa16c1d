package policy

import (
	"slices"
	"strings"

	"kpm/core/fault"
)

// who is the compiled UserCheck.
type who struct {
	any    bool
	names  []string // sorted
	ids    []string // sorted
	groups []string // group ids, sorted
	// open is true when an entry could not be resolved, or there is none:
	// everyone is restricted.
	open bool
}

func (w *who) match(a *asked) strength {
	switch {
	case w.open:
		return restricts
	case w.any || has(w.names, a.name) || has(w.ids, a.user):
		return full
	}
	for _, g := range a.q.Groups {
		if has(w.groups, g) {
			return full
		}
	}
	// "bob" may be meant for CORP\bob, or may not: that is enough to refuse
	// and too little to grant.
	if a.bare != a.name && has(w.names, a.bare) {
		return restricts
	}
	return nothing
}

func has(sorted []string, s string) bool {
	if len(sorted) == 0 {
		return false
	}
	_, found := slices.BinarySearch(sorted, s)
	return found
}

// bareUser is the name without a domain.
func bareUser(name string) string {
	name = name[strings.LastIndexByte(name, '\\')+1:]
	before, _, _ := strings.Cut(name, "@")
	return before
}

// compileWho reads entries: "*", a user name, DOMAIN\name, "#id" (uid or SID),
// "%group", "%#gid", or the UID of a collection of users or groups.
func (c *compiler) compileWho(p *Policy) who {
	var w who
	if len(p.Users) == 0 {
		return who{open: true}
	}
	before := c.doubts
	for i, entry := range p.Users {
		c.at("$.UserCheck", i)
		if entry == "*" {
			w.any = true
			continue
		}
		values, isCollection := c.collection(entry, OfUsers, OfGroups)
		if !isCollection {
			c.addUser(&w, entry)
			continue
		}
		for _, v := range values.Values {
			if values.Type == OfGroups {
				v = "%" + v
			}
			c.addUser(&w, v)
		}
	}
	if c.doubts > before {
		return who{open: true}
	}
	for _, list := range []*[]string{&w.names, &w.ids, &w.groups} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return w
}

func (c *compiler) addUser(w *who, entry string) {
	group, isGroup := strings.CutPrefix(entry, "%")
	id, isID := strings.CutPrefix(entry, "#")
	groupID, isGroupID := strings.CutPrefix(group, "#")
	switch {
	case isGroup && isGroupID && groupID != "":
		w.groups = append(w.groups, groupID)
	case isGroup:
		gid, found := "", false
		if c.env.Group != nil {
			gid, found = c.env.Group(group)
		}
		if !found {
			c.doubt(fault.Text(entry), "a group of this machine", "groups are looked up when policies are loaded")
			return
		}
		w.groups = append(w.groups, gid)
	case isID && id != "":
		w.ids = append(w.ids, id)
	case looksLikeUID(entry):
		c.doubt(fault.Text(entry)+", which looks like a collection", "a collection of the collections file", `write a user who is really called so as "#uid"`)
	case isID || strings.ContainsAny(entry, "*?"):
		c.doubt(fault.Text(entry), `a name, "#id", "%group", a collection, or "*" alone`, "")
	default:
		w.names = append(w.names, c.env.fold(entry))
	}
}
