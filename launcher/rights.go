package launcher

import (
	"fmt"

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
