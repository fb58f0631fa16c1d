package launcher

import (
	"fmt"
	"time"

	"kpm/core"
	"kpm/core/span"
	"kpm/core/view"
	"kpm/launcher/grant"
	"kpm/launcher/journal"
)

// RecordGrant writes what happened to a grant into the journal.
func RecordGrant(j *journal.Journal) func(grant.Event) error {
	return func(e grant.Event) error {
		g := e.Grant
		r := journal.Record{
			Type: journal.Granted, Request: g.Request, UserID: g.User, User: g.UserName, TargetID: g.Target, Target: g.As, Origin: known(g.Origin),
			By: e.By.String(), Message: e.Why, Controls: g.Controls, Policies: []core.PolicyRef{g.Policy},
			Grant: &journal.Grant{ID: g.ID, Everything: g.Seal == "", Seconds: int64((g.Ends - g.Renewed) / time.Second), Renewals: g.Renewals},
		}
		if g.Uses != nil {
			r.Grant.Uses = *g.Uses
		}
		if e.Ended {
			r.Type = journal.GrantEnded
		}
		if err := j.Append(r); err != nil {
			return fmt.Errorf("launcher: %w", err)
		}
		return nil
	}
}

// GrantView is a grant as API and tools show it.
func GrantView(g grant.Shown) view.Grant {
	return view.Grant{
		ID: g.ID, User: g.UserName, UserID: g.User, Target: g.As, Policy: g.Policy, Controls: g.Controls, Command: g.Command,
		From: g.Origin.String(), RequestedBy: g.Origin.By, GivenAt: g.At, SecondsLeft: int64(g.Left / time.Second), UsesLeft: g.Uses, Renewals: g.Renewals,
	}
}

// grantsOf are the grants of a user, as they are shown; none is an empty list.
func (l *Launcher) grantsOf(user core.UserID) []view.Grant {
	list := []view.Grant{}
	if l.cfg.Grants == nil {
		return list
	}
	for _, g := range l.cfg.Grants.List(user) {
		list = append(list, GrantView(g))
	}
	return list
}

// inWords is a grant on one line.
func inWords(g view.Grant) string {
	what := g.Command
	if what == "" {
		what = "all that the policy is about"
	}
	name := g.Policy.Name
	if name == "" {
		name = g.Policy.ID
	}
	text := fmt.Sprintf("%s left: %s as %s, by policy %s, from %s", span.Text(time.Duration(g.SecondsLeft)*time.Second), what, g.Target, name, g.From)
	if g.UsesLeft != nil {
		text += fmt.Sprintf(", %d more times", *g.UsesLeft)
	}
	return text
}
