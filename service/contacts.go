package service

import (
	"context"
	"slices"

	"kpm/core"
	"kpm/core/wire"
)

// maxContacts bounds how many administrators people are told of.
const maxContacts = 8

// contacts are whom user asks for what no policy allows: those whom the settings name,
// else the others in the machine's groups of administrators. Whose groups cannot be read
// are left out: whoever is told is not the worse for it.
func (s *service) contacts(ctx context.Context, user core.Account) (list []string) {
	for _, line := range s.app.Contacts {
		list = append(list, wire.PrintableLine(line))
	}
	if len(list) > 0 {
		return list
	}
	groups := s.app.Rights.Groups
	if len(groups) == 0 {
		groups = s.host.Facts.AdministratorGroups
	}
	for _, group := range groups {
		members, err := s.host.Membership.Members(ctx, group)
		if err != nil {
			continue
		}
		for _, member := range members {
			name := wire.PrintableLine(member.Account.Name)
			if member.Account.User != user.User && !slices.Contains(list, name) && len(list) < maxContacts {
				list = append(list, name)
			}
		}
	}
	return list
}
