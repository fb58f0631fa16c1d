package core

import "slices"

// Membership is in which groups somebody is, by what the kernel counts and what
// the machine's user database says (decision 32a). Each alone is wrong: the
// kernel has what was true at login, and a process can leave groups; the
// database has what is true now, and a group's number may have been given away.
type Membership struct {
	// IDs and Names are the groups that both agree on: they may grant.
	IDs, Names []string
	// DoubtfulIDs and DoubtfulNames are those that only one of them knows: they
	// restrict.
	DoubtfulIDs, DoubtfulNames []string
	// Unknown is true if there may be more: any group restricts.
	Unknown bool
}

// NewMembership compares the groups of a peer with those of its account. names
// are what the groups of both are called at this moment, by id; one may have
// several names, or none. Where the kernel counts nobody into groups, kernel is
// nil and the account's are taken.
func NewMembership(kernel []string, account Account, names map[string][]string) Membership {
	m := Membership{Unknown: account.GroupsUnknown}
	if kernel == nil {
		kernel = account.Groups
	}
	for _, id := range account.Groups {
		if slices.Contains(kernel, id) {
			m.IDs, m.Names = append(m.IDs, id), append(m.Names, names[id]...)
		} else {
			m.DoubtfulIDs, m.DoubtfulNames = append(m.DoubtfulIDs, id), append(m.DoubtfulNames, names[id]...)
		}
	}
	for _, id := range kernel {
		if !slices.Contains(account.Groups, id) && !slices.Contains(m.DoubtfulIDs, id) {
			m.DoubtfulIDs, m.DoubtfulNames = append(m.DoubtfulIDs, id), append(m.DoubtfulNames, names[id]...)
		}
	}
	return m
}

// Every returns the ids of all groups of both, each once.
func Every(kernel []string, account Account) []string {
	ids := slices.Clone(account.Groups)
	for _, id := range kernel {
		if !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids
}
