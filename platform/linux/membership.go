//go:build linux

package linux

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"kpm/core"
	"kpm/core/port"
)

// Membership reads /etc/group, and has it changed by gpasswd(1). That takes the lock
// that all of shadow's tools take (/etc/.pwd.lock), changes /etc/gshadow with it,
// keeps owner, mode and SELinux label, and tells nscd and SSSD; to do all of it here
// would be a second implementation of what the system has already. Groups of a
// directory are not this machine's to change.
type Membership struct {
	Accounts Accounts
	shadow   string // a file; empty means /etc/shadow
}

var _ port.Membership = Membership{}

const gpasswdPath = "/usr/bin/gpasswd"

// Members implements port.Membership. Whoever has the group as the primary one is in
// it by /etc/passwd: that cannot be ended without giving them another.
func (m Membership) Members(_ context.Context, group string) ([]port.Member, error) {
	names, gid, err := m.listed(group)
	if err != nil {
		return nil, fmt.Errorf("members of %q: %w", group, err)
	}
	var list []port.Member
	add := func(name, fixed string) error {
		account, err := m.Accounts.ByName(name)
		if err == nil { // with its other names
			account, err = m.Accounts.ByID(account.User)
		}
		switch {
		case errors.Is(err, core.ErrNoAccount):
			return nil
		case err != nil: // who is not known may be somebody whom policy protects
			return err
		case slices.ContainsFunc(list, func(o port.Member) bool { return o.Account.User == account.User }):
			return nil
		}
		list = append(list, port.Member{Account: account, Fixed: fixed})
		return nil
	}
	var primary []string
	_, err = m.Accounts.local(func(a core.Account) bool {
		if a.Group == gid {
			primary = append(primary, a.Name)
		}
		return false
	})
	if err != nil && !errors.Is(err, core.ErrNoAccount) {
		return nil, fmt.Errorf("members of %q: %w", group, err)
	}
	for _, name := range primary {
		if err := add(name, "it is the account's primary group"); err != nil {
			return nil, fmt.Errorf("members of %q: %w", group, err)
		}
	}
	for _, name := range names {
		if err := add(name, ""); err != nil {
			return nil, fmt.Errorf("members of %q: %w", group, err)
		}
	}
	return list, nil
}

// listed returns the names in the lines of a group, and the group's number.
//
// Attack: two lines of one name. The first is the group, and tools differ in which
// of the two they change; so members are those of both.
func (m Membership) listed(group string) (names []string, gid string, err error) {
	groups, err := m.Accounts.group.all()
	for _, g := range groups {
		if g.name != group {
			continue
		}
		gid = cmp.Or(gid, g.gid)
		for _, member := range g.members {
			if member != "" && !slices.Contains(names, member) {
				names = append(names, member)
			}
		}
	}
	if err == nil && gid == "" {
		err = core.ErrNoGroup
	}
	return names, gid, err
}

// Set implements port.Membership. Every name of the user's is taken out.
func (m Membership) Set(ctx context.Context, group string, account core.Account, member bool) error {
	names, _, err := m.listed(group)
	if err != nil {
		return fmt.Errorf("group %q: %w", group, err)
	}
	of := append([]string{account.Name}, account.OtherNames...)
	// Attack: another name of the same uid stays in the group.
	if all, err := m.Accounts.localByID(account.User); err == nil {
		of = append(append(of, all.Name), all.OtherNames...)
	}
	listed := func(name string) bool { return slices.Contains(names, name) }
	switch {
	case member && slices.ContainsFunc(of, listed):
		return nil
	case member:
		of = of[:1]
	default:
		slices.Sort(of)
		of = slices.DeleteFunc(slices.Compact(of), func(name string) bool { return !listed(name) })
	}
	for _, name := range of {
		argv, err := membershipCommand(group, name, member)
		if err != nil {
			return fmt.Errorf("group %q: %w", group, err)
		}
		if err := runTool(ctx, argv); err != nil {
			return fmt.Errorf("group %q: user %q: %w", group, name, err)
		}
	}
	names, _, err = m.listed(group)
	if err == nil && slices.ContainsFunc(of, listed) != member && len(of) > 0 {
		err = fmt.Errorf("%s has ended well, and /etc/group has not changed", gpasswdPath)
	}
	if err != nil {
		return fmt.Errorf("group %q: %w", group, err)
	}
	return nil
}

// membershipCommand is argv. A name that could be anything but a name is refused:
// gpasswd takes no "--" that would end its options everywhere.
func membershipCommand(group, name string, member bool) ([]string, error) {
	for _, text := range []string{group, name} {
		if text == "" || text[0] == '-' || text[0] == '+' || strings.ContainsAny(text, ":,/ \t\r\n\x00") {
			return nil, fmt.Errorf("%q cannot be the name of a group or user in /etc/group", text)
		}
	}
	option := "--delete"
	if member {
		option = "--add"
	}
	return []string{gpasswdPath, option, name, group}, nil
}

// Spare implements port.Membership: whether root has a password (shadow(5)).
func (m Membership) Spare() (bool, error) {
	entries, err := newTable(cmp.Or(m.shadow, "/etc/shadow"), parseShadow).all()
	if err != nil {
		return false, fmt.Errorf("password of root: %w", err)
	}
	i := slices.IndexFunc(entries, func(e shadowEntry) bool { return e.name == "root" })
	return i >= 0 && entries[i].usable, nil
}

// shadowEntry is whether somebody has a password.
type shadowEntry struct {
	name   string
	usable bool
}

// parseShadow reads a line of shadow(5). "!" and "*" before anything lock a password;
// "" lets everybody in, at a console.
func parseShadow(line string) (shadowEntry, bool) {
	f := strings.Split(line, ":")
	if len(f) < 2 {
		return shadowEntry{}, false
	}
	return shadowEntry{f[0], f[1] == "" || f[1][0] != '!' && f[1][0] != '*'}, true
}
