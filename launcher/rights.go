package launcher

import (
	"context"
	"fmt"
	"slices"

	"kpm/core"
	"kpm/core/wire"
	"kpm/launcher/journal"
	"kpm/launcher/rights"
)

// RecordRights writes what happens to somebody's place in a group of administrators
// into the journal.
func RecordRights(j *journal.Journal) func(rights.Change) error {
	return func(c rights.Change) error {
		r := journal.Record{
			Type: journal.Rights, UserID: c.Place.User, User: c.Place.Name, Group: c.Place.Group,
			Cause: c.What, Message: c.Why, By: c.By, Policies: c.Policies,
		}
		if c.Grant != "" {
			r.Grants = []string{c.Grant}
		}
		if c.What == rights.GaveBack || c.What == rights.TimeOver {
			r.Type = journal.RightsBack
		}
		if err := j.Append(r); err != nil {
			return fmt.Errorf("launcher: %w", err)
		}
		return nil
	}
}

// Removal asks KeeperPolicy whether somebody is to stay in these groups of
// administrators, in addition to those of the account. Errors wrap core.ErrUndecided.
func (l *Launcher) Removal(ctx context.Context, account core.Account, groups []string) (core.Removal, error) {
	l.mu.Lock()
	standing := l.decider.standing
	l.mu.Unlock()
	if standing != deciding {
		return core.Removal{}, fmt.Errorf("launcher: %s is not there: %w", wire.PolicyPlugin, core.ErrUndecided)
	}
	member, err := l.cfg.Sealer.Member(account)
	if err != nil {
		return core.Removal{}, fmt.Errorf("launcher: %w", err)
	}
	for _, group := range groups {
		if !slices.Contains(member.Names, group) {
			member.Names = append(member.Names, group)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, l.limits().Evaluate)
	defer cancel()
	a, err := l.Consult(ctx, wire.PolicyRequest{
		EventType: wire.EventLeastPrivilege, UserID: account.User, UserName: account.Name, OtherNames: account.OtherNames,
		Groups: member.IDs, GroupNames: member.Names, DoubtfulGroups: member.DoubtfulIDs, DoubtfulGroupNames: member.DoubtfulNames, GroupsUnknown: member.Unknown,
		MachineName: l.cfg.Machine(), Arguments: []string{"/"}, FilePath: "/",
	})
	switch {
	case err != nil:
		return core.Removal{}, fmt.Errorf("launcher: %w: %w", core.ErrUndecided, err)
	case a.Removal == nil:
		return core.Removal{}, fmt.Errorf("launcher: %w: %s", core.ErrUndecided, wire.Printable(a.Message))
	}
	return *a.Removal, nil
}
