package api_test

import (
	"context"
	"fmt"
	"time"

	"kpm/core"
	"kpm/core/view"
)

// rightsOf has taken one place of each of two users.
type rightsOf struct{ *world }

var errNothingTaken = core.NewError(core.NotFound, "nothing was taken from that user")

func (rightsOf) List(user core.UserID) view.Rights {
	list := view.Rights{Taken: []view.Place{}, Given: []view.Place{}, Spared: []view.Place{}}
	for _, who := range []core.UserID{"1000", "1001"} {
		if user == "" || user == who {
			list.Taken = append(list.Taken, view.Place{User: "u" + string(who), UserID: who, Group: "sudo",
				At: time.Date(2026, 11, 18, 12, 0, 0, 0, time.UTC), Policies: []core.PolicyRef{{ID: "p", Name: "P"}}})
		}
	}
	return list
}

func (rightsOf) Check(context.Context) error { return nil }

func (w rightsOf) Return(_ context.Context, who string, _ core.Principal) error { return w.Resume(who) }

func (rightsOf) Resume(who string) error {
	if who != "u1000" {
		return fmt.Errorf("user %q: %w", who, errNothingTaken)
	}
	return nil
}
