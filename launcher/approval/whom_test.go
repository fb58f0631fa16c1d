package approval

import (
	"slices"
	"testing"

	"kpm/core"
)

// Requesters are told of nobody who cannot decide: themselves, by whatever name or
// login, and whom this machine does not know (W16).
func TestWhomARequesterMayAsk(t *testing.T) {
	d := newDesk(t)
	d.known = func(user string) (core.UserID, bool) {
		id, is := map[string]core.UserID{"ada": "1001", "#1001": "1001", "bob": "1000", "robert": "1000", "#1000": "1000", "lou": "1009", "#1009": "1009"}[user]
		return id, is
	}
	w := want("1000", core.ApprovalRule{Users: []string{"bob", "ada", "robert", "#1000", "nosuch", "#4000", "lou", "#1009"}, Groups: []string{"ops"}, Number: 1,
		EscalatedUsers: []string{"bob", "nosuch", "#1001"}}, core.ApprovalRule{Users: []string{"bob"}, Number: 1})
	w.Login = "1009"
	if got, want := d.Whom(&w), "1 of ada, group ops, the administrators, and 1 of the administrators"; got != want {
		t.Errorf("%s\nexpected %s", got, want)
	}
	if got := d.Eligible(&w)[0].EscalatedUsers; !slices.Equal(got, []string{"#1001"}) {
		t.Errorf("later also %q", got)
	}
	if len(w.Rules[0].Users) != 8 {
		t.Error("the rules themselves have changed")
	}
	d.known = nil
	if got, want := d.Whom(&w), "1 of ada, robert, nosuch, #4000, lou, group ops, the administrators, and 1 of the administrators"; got != want {
		t.Errorf("where nobody can be looked up: %s\nexpected %s", got, want)
	}
}
