package policy

import (
	"fmt"
	"strings"

	"kpm/core/fault"
)

// approvers looks at the names of those who may approve. Administrators may in any
// case, so whom nobody knows costs the policy no grant.
func (v *review) approvers(p *Policy) {
	if p.Approval == nil {
		return
	}
	v.path = "$.approvers"
	for _, list := range [][]string{p.Approval.Users, p.Approval.EscalatedUsers} {
		for _, name := range list {
			switch {
			case elsewhere(name) || v.facts.User(name):
			case v.facts.Group(name):
				v.say(Note, fault.Text(name)+", a group of this machine and no user", fmt.Sprintf("%q, or teams", "%"+name), "a group is written with %")
			default:
				v.say(Note, fault.Text(name)+", whom this machine does not know", "a user", "correct the name, unless the policy is for another machine")
			}
		}
	}
	for _, list := range [][]string{p.Approval.Groups, p.Approval.EscalatedGroups} {
		for _, name := range list {
			if !elsewhere(name) && !v.facts.Group(name) {
				v.say(Note, fault.Text(name)+", whom this machine does not know", "a group", "correct the name, unless the policy is for another machine")
			}
		}
	}
}

// elsewhere reports whether a name is no account's of this machine by its form: an id,
// somebody of a domain, or a number of a backend.
func elsewhere(name string) bool {
	return strings.ContainsAny(name, `#@\`) || strings.Trim(name, "0123456789") == ""
}
