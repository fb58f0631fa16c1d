package policy

import (
	"slices"
	"strings"

	"kpm/core/fault"
)

// who is the compiled UserCheck. Nothing in it is looked up when policies are
// read: what a name means is in the question.
type who struct {
	any        bool
	names      []string // sorted
	ids        []string // sorted
	groups     []string // group ids, sorted
	groupNames []string // sorted
	// open is true when an entry could not be resolved, or there is none:
	// everyone is restricted.
	open bool
}

func (w *who) match(a *asked) strength {
	switch {
	case w.open || len(a.q.MissingGroups) > 0 && hasAny(w.groupNames, a.q.MissingGroups):
		return restricts // what a group means that is not there cannot be told
	case w.any || has(w.names, a.name) || has(w.ids, a.user):
		return full
	}
	if len(w.groups) > 0 || len(w.groupNames) > 0 {
		if by := w.matchGroups(&a.q); by != nothing {
			return by
		}
	}
	// "bob" may be meant for CORP\bob, or may not: that is enough to refuse
	// and too little to grant.
	if a.bare != a.name && has(w.names, a.bare) || hasAny(w.names, a.q.OtherNames) {
		return restricts
	}
	return nothing
}

// matchGroups grants by a group that the kernel and the user database agree on,
// and restricts by one that either knows, or that nobody can tell.
func (w *who) matchGroups(q *Question) strength {
	if hasAny(w.groups, q.Groups) || hasAny(w.groupNames, q.GroupNames) {
		return full
	}
	if q.GroupsUnknown || hasAny(w.groups, q.DoubtfulGroups) || hasAny(w.groupNames, q.DoubtfulGroupNames) ||
		w.hasBare(q.GroupNames) || w.hasBare(q.DoubtfulGroupNames) {
		return restricts
	}
	return nothing
}

// hasBare reports whether one of the groups is a domain's, and the filter has
// its name without the domain.
func (w *who) hasBare(names []string) bool {
	for _, name := range names {
		if bare := bareName(name); bare != name && has(w.groupNames, bare) {
			return true
		}
	}
	return false
}

func has(sorted []string, s string) bool {
	if len(sorted) == 0 {
		return false
	}
	_, found := slices.BinarySearch(sorted, s)
	return found
}

func hasAny(sorted, list []string) bool {
	for _, s := range list {
		if has(sorted, s) {
			return true
		}
	}
	return false
}

// bareName is the name of a user or group without a domain.
func bareName(name string) string {
	name = name[strings.LastIndexByte(name, '\\')+1:]
	before, _, _ := strings.Cut(name, "@")
	return before
}

// GroupNames returns the names of groups that policies use, sorted, each once.
func (s *Set) GroupNames() []string {
	var names []string
	for i := range s.kinds {
		for _, x := range []*index{&s.kinds[i].enforcing, &s.kinds[i].monitoring} {
			for j := range x.rules {
				names = append(names, x.rules[j].who.groupNames...)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// compileWho reads entries: "*", a user name, DOMAIN\name, "#id" (uid or SID),
// "%group", "%#gid", or the UID of a collection of users or groups.
func (c *compiler) compileWho(p *Policy) who {
	if len(p.Users) == 0 {
		return who{open: true}
	}
	before := c.doubts
	w := c.people("$.UserCheck", p.Users)
	if c.doubts > before {
		return who{open: true}
	}
	return w
}

// people reads the entries of the list at path.
func (c *compiler) people(path string, entries []string) (w who) {
	for i, entry := range entries {
		c.at(path, i)
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
	for _, list := range []*[]string{&w.names, &w.ids, &w.groups, &w.groupNames} {
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
	case isGroup && (group == "" || isGroupID || strings.ContainsAny(group, "*?%:")):
		c.doubt(fault.Text(entry), `the name of a group, or "%#gid"`, "")
	case isGroup:
		if c.env.MissingGroup != nil && c.env.MissingGroup(group) {
			c.note(c.policy, c.path, fault.Text(entry), "a group of this machine",
				"as long as there is none, the policy restricts everyone and grants nobody")
		}
		w.groupNames = append(w.groupNames, c.env.fold(group))
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
