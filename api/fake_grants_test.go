package api_test

import (
	"fmt"
	"time"

	"kpm/core"
	"kpm/core/view"
)

// grantsOf has one grant of each of two users.
type grantsOf struct{ *world }

var errNoGrant = core.NewError(core.NotFound, "no such grant")

func (grantsOf) List(user core.UserID) (list []view.Grant) {
	for _, who := range []core.UserID{"1000", "1001"} {
		if user == "" || user == who {
			list = append(list, view.Grant{ID: "G" + string(who), User: "u" + string(who), UserID: who, Target: "root", Policy: core.PolicyRef{ID: "p", Name: "P"},
				Controls: []core.Control{core.ControlJustify}, Command: "/usr/bin/id", From: "terminal pts/1", RequestedBy: core.ByTerminal,
				GivenAt: time.Date(2026, 11, 18, 12, 0, 0, 0, time.UTC), SecondsLeft: 60})
		}
	}
	return list
}

func (w grantsOf) Revoke(id string, user core.UserID, by core.Principal) error {
	for _, g := range w.List(user) {
		if g.ID == id {
			return nil
		}
	}
	return fmt.Errorf("grant %q: %w", id, errNoGrant)
}
