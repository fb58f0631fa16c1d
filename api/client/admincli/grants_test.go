package admincli

import (
	"strings"
	"testing"
	"time"

	"kpm/core"
	"kpm/core/view"
)

// grantAnswers has two grants.
type grantAnswers struct{ *answers }

func (grantAnswers) List(core.UserID) []view.Grant {
	two := 2
	return []view.Grant{
		{ID: "AAA", User: "ann", UserID: "1000", Target: "root", Policy: core.PolicyRef{ID: "tools", Name: "Tools"}, Controls: []core.Control{core.ControlJustify},
			Command: "/usr/bin/id \u202e", From: "terminal pts/1", RequestedBy: core.ByTerminal, GivenAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), SecondsLeft: 90, UsesLeft: &two},
		{ID: "BBB", User: "bob", UserID: "1001", Target: "postgres", Policy: core.PolicyRef{ID: "db"}, Controls: []core.Control{core.ControlMFA},
			From: "the desktop", RequestedBy: core.ByDesktop, SecondsLeft: 7200, Renewals: 1},
	}
}

func (g grantAnswers) Revoke(id string, _ core.UserID, _ core.Principal) error {
	if id != "AAA" {
		return core.NewError(core.NotFound, "no such grant")
	}
	g.ran = append(g.ran, "revoke "+id)
	return nil
}

func TestGrants(t *testing.T) {
	r := newRunning(t)
	code, out, diag := r.do(t, "grants", "list")
	want := "ID   USER  AS        LEFT   USES  POLICY  FROM            WHAT\n" +
		"AAA  ann   root      1m30s  2     tools   terminal pts/1  /usr/bin/id \ufffd\n" +
		"BBB  bob   postgres  2h     any   db      the desktop     all that the policy is about\n"
	if code != 0 || out != want {
		t.Errorf("%d %q %q", code, out, diag)
	}
	code, out, _ = r.do(t, "grants", "list", "--json")
	if code != 0 || !strings.Contains(out, `"secondsLeft":90`) || !strings.Contains(out, `"usesLeft":2`) {
		t.Errorf("%d %s", code, out)
	}
	if code, out, _ = r.do(t, "grants", "revoke", "AAA"); code != 0 || out != "AAA has ended\n" || len(r.ran) != 1 {
		t.Errorf("%d %q %q", code, out, r.ran)
	}
	if code, _, diag = r.do(t, "grants", "revoke", "../x"); code != 2 || !strings.Contains(diag, "no such grant") {
		t.Errorf("%d %q", code, diag)
	}
}
