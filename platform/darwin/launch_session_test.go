package darwin

import (
	"errors"
	"io/fs"
	"testing"

	"kpm/core"
)

func TestWindowsOf(t *testing.T) {
	list := func() ([]core.Session, error) {
		return []core.Session{{ID: "100099", User: "501"}, {ID: "100999", User: "502"}}, nil
	}
	broken := errors.New("scutil hangs")
	for _, c := range []struct {
		as   core.Identity
		want core.UserID
		fail bool
	}{
		{core.Identity{RunAs: core.AsService, Session: "100099"}, "", false},
		{core.Identity{RunAs: core.AsUserElevated}, "", false},
		{core.Identity{RunAs: core.AsUserDesktop, Session: "100099", Account: core.Account{User: "501"}}, "501", false},
		{core.Identity{RunAs: core.AsUserDesktop, Session: "100099", Account: core.Account{User: "502"}}, "", true},
		{core.Identity{RunAs: core.AsUser, Session: "100999", Account: core.Account{User: "501"}}, "", true},
		{core.Identity{RunAs: core.AsUserElevated, Session: "100999", Account: core.Account{User: "0"}}, "502", false},
	} {
		if got, err := windowsOf(c.as, list); got != c.want || (err != nil) != c.fail {
			t.Errorf("%+v: %q, %v, want %q", c.as, got, err, c.want)
		}
	}
	gone := core.Identity{RunAs: core.AsUserDesktop, Session: "7", Account: core.Account{User: "501"}}
	if _, err := windowsOf(gone, list); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a session that has ended: %v", err)
	}
	if _, err := windowsOf(gone, func() ([]core.Session, error) { return nil, broken }); !errors.Is(err, broken) {
		t.Errorf("sessions that cannot be listed: %v", err)
	}
}
