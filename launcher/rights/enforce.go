package rights

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"kpm/core"
)

// standing is somebody in a group, or taken from it.
type standing struct {
	Place
	account core.Account
	fixed   string
	taken   bool
}

// enforce asks policy about everybody who is in a group of administrators, or was
// taken from one, and does what it says. Without an answer nobody gains or loses
// anything.
func (b *Book) enforce(ctx context.Context) error {
	all, err := b.standings(ctx)
	if err != nil {
		return err
	}
	var errs []error
	answers := map[core.UserID]core.Removal{}
	var wanted []standing // out
	for _, s := range all {
		answer, asked := answers[s.User]
		if !asked {
			if answer, err = b.cfg.Ask(ctx, s.account, groupsOf(s.User, all)); err != nil {
				return errors.Join(append(errs, fmt.Errorf("rights: policy does not say who may be an administrator: %w", err))...)
			}
			answers[s.User] = answer
		}
		switch {
		case len(answer.Policies) > 0 && !s.taken:
			wanted = append(wanted, s)
		case len(answer.Policies) == 0 && answer.Doubtful && (s.taken || b.recorded(s.Place)):
			// It stays as it is until that is known.
		case len(answer.Policies) == 0 && (s.taken || b.recorded(s.Place)):
			errs = append(errs, b.giveBack(ctx, s, "no policy takes it any more", ""))
		case s.taken:
		case len(answer.Monitored) == 0:
			delete(b.said, s.Place)
		case b.untouchable(s.account) == "" && b.once(s.Place, WouldBe+answer.Monitored[0].ID):
			errs = append(errs, b.record(Change{What: WouldBe, Place: s.Place, Policies: answer.Monitored, Notices: answer.Notices, Why: "a policy that only watches is met"}))
		}
	}
	return errors.Join(append(errs, b.take(ctx, all, wanted, answers))...)
}

// standings are those of all groups, each person and group once, by user.
func (b *Book) standings(ctx context.Context) ([]standing, error) {
	var all []standing
	for _, group := range b.cfg.Groups {
		members, err := b.cfg.Membership.Members(ctx, group)
		if errors.Is(err, core.ErrNoGroup) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("rights: %w", err)
		}
		for _, m := range members {
			p := Place{User: m.Account.User, Name: m.Account.Name, Group: group}
			all = append(all, standing{Place: p, account: m.Account, fixed: m.Fixed})
		}
	}
	b.mu.Lock()
	taken := slices.Clone(b.kept.Taken)
	b.mu.Unlock()
	for _, t := range taken {
		// Somebody who is in the group again is taken again, by the same record.
		if slices.ContainsFunc(all, func(s standing) bool { return s.is(t.Place) }) {
			continue
		}
		account, err := b.account(t.Place)
		if errors.Is(err, core.ErrNoAccount) {
			if err := b.forget(t.Place); err != nil {
				return nil, err
			}
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("rights: %w", err)
		}
		all = append(all, standing{Place: t.Place, account: account, taken: true})
	}
	slices.SortStableFunc(all, func(a, b standing) int { return strings.Compare(string(a.User), string(b.User)) })
	return all, nil
}

// recorded reports whether a place was taken, as the file says.
func (b *Book) recorded(p Place) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.kept.taken(p)
}

// account is whose place it is.
//
// Attack: an account is removed, and its number or its name given to somebody else,
// who would be given the rights of the one before.
func (b *Book) account(p Place) (core.Account, error) {
	account, err := b.cfg.Accounts.ByID(p.User)
	if err == nil && account.Name != p.Name {
		err = fmt.Errorf("user %s is %q, and was %q: %w", p.User, account.Name, p.Name, core.ErrNoAccount)
	}
	return account, err
}

// forget drops what was taken from an account that there is not any more.
func (b *Book) forget(p Place) error {
	b.cfg.Log.Warn("somebody from whom rights were taken has no account any more", "user", p.Name, "group", p.Group)
	return b.change(func(k *kept) { k.dropTaken(p) })
}

// groupsOf are those that somebody is in, or was taken from: a policy about a group
// must keep meeting whom it has taken out of it.
func groupsOf(user core.UserID, all []standing) (groups []string) {
	for _, s := range all {
		if s.User == user {
			groups = append(groups, s.Group)
		}
	}
	return groups
}

// untouchable says why policy takes nothing from somebody; empty if it may.
func (b *Book) untouchable(account core.Account) string {
	named := append([]string{account.Name, "#" + string(account.User)}, account.OtherNames...)
	switch {
	case b.cfg.System(account):
		return "it is an account of the system's own"
	case slices.ContainsFunc(b.cfg.Protected, func(name string) bool { return slices.Contains(named, name) }):
		return "Rights:Protected names it"
	}
	return ""
}

// take takes from those whom policy wants out what may be taken. One who can be an
// administrator stays, unless root can log in: of those, the one with the lowest id.
func (b *Book) take(ctx context.Context, all, wanted []standing, answers map[core.UserID]core.Removal) error {
	if len(wanted) == 0 {
		return nil
	}
	stays, why := b.whoStays(all, wanted)
	var errs []error
	for _, s := range wanted {
		b.mu.Lock()
		spared, given := b.kept.spared(s.Place), b.kept.given(s.Place)
		b.mu.Unlock()
		reason := b.untouchable(s.account)
		switch {
		case given:
			continue // for a time
		case spared:
			reason = "an administrator has given it back"
		case reason == "" && s.fixed != "":
			reason = s.fixed
		case reason == "" && s.User == stays:
			reason = why
		}
		policies := answers[s.User].Policies
		if reason != "" {
			if b.once(s.Place, LeftOver+reason) {
				errs = append(errs, b.record(Change{What: LeftOver, Place: s.Place, Policies: policies, Why: reason}))
			}
			continue
		}
		errs = append(errs, b.takeOne(ctx, s, policies))
	}
	return errors.Join(errs...)
}

// whoStays is the last administrator, if all who can be one are to be taken.
func (b *Book) whoStays(all, wanted []standing) (core.UserID, string) {
	if b.cfg.TakeLast {
		return "", ""
	}
	root, err := b.cfg.Membership.Spare()
	if err == nil && root {
		return "", ""
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range all {
		out := slices.ContainsFunc(wanted, func(w standing) bool { return w.User == s.User })
		// Who is one for a time, or an account that runs a service, does not count.
		remains := !out || b.untouchable(s.account) != "" || s.fixed != "" || b.kept.spared(s.Place)
		if !s.taken && remains && !b.cfg.System(s.account) && !b.kept.given(s.Place) {
			return "", ""
		}
	}
	for _, s := range wanted {
		if !b.kept.given(s.Place) {
			return s.User, "this is the last administrator: root cannot log in with a password, and Rights:TakeLast is false"
		}
	}
	return "", ""
}

// takeOne takes somebody out of a group: in the file first, in the journal, and then
// in the group.
func (b *Book) takeOne(ctx context.Context, s standing, policies []core.PolicyRef) error {
	again := false
	err := b.change(func(k *kept) {
		if again = k.taken(s.Place); !again {
			k.Taken = append(k.Taken, Taken{Place: s.Place, Policies: policies, At: time.Now().UTC().Round(0)})
		}
	})
	if err != nil {
		return err
	}
	why := "policy says so"
	if again {
		why = "policy says so, and they are in it again"
	}
	if err := b.record(Change{What: TookAway, Place: s.Place, Policies: policies, Why: why}); err != nil {
		if !again {
			err = errors.Join(err, b.change(func(k *kept) { k.dropTaken(s.Place) }))
		}
		return fmt.Errorf("rights: %s stays in %s: %w", s.Name, s.Group, err)
	}
	if err := b.cfg.Membership.Set(ctx, s.Group, s.account, false); err != nil {
		return fmt.Errorf("rights: %s could not be taken out: %w", s.Name, err)
	}
	return nil
}

// giveBack puts somebody in again, and then drops it from the file.
func (b *Book) giveBack(ctx context.Context, s standing, why, by string) error {
	err := b.cfg.Membership.Set(ctx, s.Group, s.account, true)
	if errors.Is(err, core.ErrNoGroup) {
		err, why = nil, "there is no such group any more"
	}
	if err != nil {
		return fmt.Errorf("rights: %s could not be put in again: %w", s.Name, err)
	}
	err = b.change(func(k *kept) {
		k.dropTaken(s.Place)
		for i := range k.Given { // it does not end with the grant
			if k.Given[i].is(s.Place) {
				k.Given[i].Stays = true
			}
		}
	})
	if err != nil {
		return err
	}
	delete(b.said, s.Place)
	return b.record(Change{What: GaveBack, Place: s.Place, Why: why, By: by})
}
