package approval

import (
	"fmt"
	"slices"
	"strings"

	"kpm/core"
	"kpm/core/wire"
)

// maxTold bounds how many approvers of one policy people are told.
const maxTold = 8

// Known finds a user by a name, or "#" and an id. It reports false for one that this
// machine surely does not have.
type Known func(user string) (core.UserID, bool)

// Eligible are the rules of w as a requester is told them: without themselves, under
// each name and number, and without users whom this machine does not know. Nobody asks
// somebody who cannot decide. What groups there are, and who is in them, is found out
// when somebody decides.
func (b *Book) Eligible(w *Want) []core.ApprovalRule {
	able := func(users []string) []string {
		return slices.DeleteFunc(slices.Clone(users), func(user string) bool {
			id, known := core.UserID(strings.TrimPrefix(user, "#")), true
			if b.known != nil {
				id, known = b.known(user)
			}
			return !known || user == w.Name || id != "" && (id == w.User || id == w.Login)
		})
	}
	rules := slices.Clone(w.Rules)
	for i := range rules {
		rules[i].Users, rules[i].EscalatedUsers = able(rules[i].Users), able(rules[i].EscalatedUsers)
	}
	return rules
}

// Whom says in words whom a requester may ask: who can decide.
func (b *Book) Whom(w *Want) string {
	var rules []string
	for _, rule := range b.Eligible(w) {
		named := rule.Users
		for _, group := range rule.Groups {
			named = append(named, "group "+group)
		}
		more := ""
		if len(named) > maxTold {
			named, more = named[:maxTold], ", others"
		}
		rules = append(rules, fmt.Sprintf("%d of %s%s", max(1, rule.Number), strings.Join(append(named, "the administrators"), ", "), more))
	}
	return wire.Printable(strings.Join(rules, ", and "))
}
