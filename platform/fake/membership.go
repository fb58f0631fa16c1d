package fake

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"kpm/core"
	"kpm/core/port"
)

// Membership is who is in the groups of a machine. The zero value has none.
type Membership struct {
	mu     sync.Mutex
	groups map[string][]port.Member
	root   bool
	// Before, if not nil, is called before each change; its error is what the change
	// ends with, and nothing is changed.
	Before func(group string, account core.Account, member bool) error
}

var _ port.Membership = (*Membership)(nil)

// Put makes a group with these members.
func (m *Membership) Put(group string, members ...port.Member) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.groups == nil {
		m.groups = map[string][]port.Member{}
	}
	m.groups[group] = members
}

// LetRootLogIn has Spare answer true.
func (m *Membership) LetRootLogIn() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.root = true
}

// Names are the members of a group, sorted.
func (m *Membership) Names(group string) (names []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, member := range m.groups[group] {
		names = append(names, member.Account.Name)
	}
	slices.Sort(names)
	return names
}

// Members implements port.Membership.
func (m *Membership) Members(_ context.Context, group string) ([]port.Member, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	list, is := m.groups[group]
	if !is {
		return nil, fmt.Errorf("group %q: %w", group, core.ErrNoGroup)
	}
	return slices.Clone(list), nil
}

// Set implements port.Membership.
func (m *Membership) Set(_ context.Context, group string, account core.Account, member bool) error {
	if m.Before != nil {
		if err := m.Before(group, account, member); err != nil {
			return err
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	list, is := m.groups[group]
	if !is {
		return fmt.Errorf("group %q: %w", group, core.ErrNoGroup)
	}
	list = slices.DeleteFunc(slices.Clone(list), func(other port.Member) bool { return other.Account.User == account.User })
	if member {
		list = append(list, port.Member{Account: account})
	}
	m.groups[group] = list
	return nil
}

// Spare implements port.Membership.
func (m *Membership) Spare() (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.root, nil
}
