//go:build darwin

package darwin

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"kpm/core"
	"kpm/core/port"
	"kpm/platform/darwin/tool"
)

// Membership reads groups of the machine's own directory by dscl(1), and has them
// changed by dseditgroup(8), which knows both of the lists that a group has (names and
// generated ids).
type Membership struct{ Accounts Accounts }

var _ port.Membership = Membership{}

// changeTime bounds one change.
const changeTime = 20 * time.Second

// Members implements port.Membership. Groups within a group are not followed: they are
// not people.
func (m Membership) Members(ctx context.Context, group string) ([]port.Member, error) {
	if !tool.Name(group) {
		return nil, fmt.Errorf("group %q: not a name: %w", group, core.ErrNoGroup)
	}
	answer, err := ask(ctx, askTime, tool.AskMembers(group), "")
	switch {
	case err != nil:
		return nil, fmt.Errorf("members of %q: %w", group, err)
	case answer.status == tool.NoRecord:
		return nil, fmt.Errorf("group %q: %w", group, core.ErrNoGroup)
	case answer.status != 0:
		return nil, fmt.Errorf("members of %q: dscl ended with %d: %s", group, answer.status, strings.TrimSpace(answer.errors))
	}
	gid, names, err := tool.ParseMembers(answer.output)
	if err != nil {
		return nil, fmt.Errorf("members of %q: %w", group, err)
	}
	var list []port.Member
	for _, name := range names {
		account, err := m.Accounts.ByName(name)
		switch {
		case errors.Is(err, core.ErrNoAccount):
			continue
		case err != nil:
			return nil, fmt.Errorf("members of %q: %w", group, err)
		case slices.ContainsFunc(list, func(o port.Member) bool { return o.Account.User == account.User }):
			continue
		}
		fixed := ""
		if account.Group == gid {
			fixed = "it is the account's primary group"
		}
		list = append(list, port.Member{Account: account, Fixed: fixed})
	}
	return list, nil
}

// Set implements port.Membership.
func (m Membership) Set(ctx context.Context, group string, account core.Account, member bool) error {
	members, err := m.Members(ctx, group)
	if err != nil {
		return err
	}
	is := slices.ContainsFunc(members, func(o port.Member) bool { return o.Account.User == account.User })
	if is == member {
		return nil
	}
	if !tool.Name(account.Name) {
		return fmt.Errorf("group %q: %q cannot be the name of a user", group, account.Name)
	}
	if err := run(ctx, tool.SetMember(group, account.Name, member)); err != nil {
		return fmt.Errorf("group %q: user %q: %w", group, account.Name, err)
	}
	return nil
}

// run runs a tool that changes something. Half a change is worse than a late one: who
// stops waiting does not end it.
func run(ctx context.Context, argv []string) error {
	answer, err := ask(context.WithoutCancel(ctx), changeTime, argv, "")
	if err == nil && answer.status != 0 {
		err = fmt.Errorf("%s ended with %d: %s", argv[0], answer.status, strings.TrimSpace(answer.errors))
	}
	return err
}

// Spare implements port.Membership: root is switched off on a Mac unless somebody has
// switched it on, and then it is a member of group admin.
func (Membership) Spare() (bool, error) { return false, nil }
