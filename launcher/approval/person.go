package approval

import (
	"slices"
	"strings"

	"kpm/core"
)

// Person is whoever decides, as the kernel and the user database have it.
type Person struct {
	User core.UserID
	Name string
	// Login is whose login their process belongs to, empty if nobody knows: root's
	// by sudo is still the person who typed sudo.
	Login core.UserID
	// Groups and GroupNames are those that kernel and database agree on
	// (decision 32a).
	Groups, GroupNames []string
	// Administrator is true of tier Admin (decision 10). An administrator may decide
	// on everything but their own.
	Administrator bool
	// Remote is true of somebody elsewhere whom a trusted plugin has named: they are
	// no user of this machine, and Name is all there is.
	Remote bool
}

// isRequester reports whether p is who asked, under any account that shows it.
// Attack: somebody asks as themself and approves as root, whom they became by
// another way, or as another user from the same login.
func (p *Person) isRequester(w *Want) bool {
	if p.Remote && p.Name == w.Name {
		return true
	}
	for _, mine := range []core.UserID{p.User, p.Login} {
		if mine != "" && (mine == w.User || mine == w.Login) {
			return true
		}
	}
	return false
}

// counts returns the places of the rules that p may approve for, now.
func (p *Person) counts(r *Record) (rules []int) {
	for i, rule := range r.Want.Rules {
		users, groups := rule.Users, rule.Groups
		if r.State == Escalated {
			users, groups = slices.Concat(users, rule.EscalatedUsers), slices.Concat(groups, rule.EscalatedGroups)
		}
		if p.Administrator || p.Remote || p.named(users, groups) {
			rules = append(rules, i)
		}
	}
	return rules
}

// named reports whether p is one of users or in one of groups. Numbers are
// compared with what the kernel says, names with the database's one name for that.
func (p *Person) named(users, groups []string) bool {
	for _, u := range users {
		if id, isID := strings.CutPrefix(u, "#"); isID && id == string(p.User) || !isID && u == p.Name {
			return true
		}
	}
	for _, g := range groups {
		if id, isID := strings.CutPrefix(g, "#"); isID && slices.Contains(p.Groups, id) || !isID && slices.Contains(p.GroupNames, g) {
			return true
		}
	}
	return false
}
