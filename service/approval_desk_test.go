package service

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"kpm/core"
	"kpm/core/fair"
	"kpm/core/port"
	"kpm/core/view"
	"kpm/launcher/approval"
	"kpm/platform/fake"
)

// atDesk is a desk with one approval, which person "bob" waits for.
func atDesk(t *testing.T, remote bool) (approvalDesk, string) {
	t.Helper()
	s := &service{host: port.Host{Facts: port.Facts{Platform: core.Linux}, Accounts: fake.Accounts{{User: "1000", Name: "bob"}, {User: "1001", Name: "ada"}}}}
	s.app.Approvals.Remote = remote
	var err error
	s.approvals, err = approval.Open(filepath.Join(t.TempDir(), "approvals.db"), approval.Limits{Pending: 1 << 40, Expiration: 1 << 40, Usable: 1 << 40, MaxPerUser: 4, Max: 4},
		approval.SystemClock(nil), fair.People{}, s.knownUser, func(approval.Record) {}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.approvals.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	r, err := s.approvals.Ask(approval.Want{User: "1000", Name: "bob", Path: "/usr/bin/id", Argv: [][]byte{[]byte("id")}, Rules: []core.ApprovalRule{{Users: []string{"ada", "bob", "#1000", "nosuch"}, Number: 1}}}, "why")
	if err != nil {
		t.Fatal(err)
	}
	return approvalDesk{s}, r.ID
}

// Whoever is no person decides nothing, but for the one plugin that speaks for people
// elsewhere, where the machine lets it.
func TestWhoComesToTheDesk(t *testing.T) {
	backend := core.Principal{Kind: core.Plugin, Name: "KeeperAPI", User: "0"}
	inSession := backend
	inSession.InUserSession = true
	for name, tc := range map[string]struct {
		who      core.Principal
		remote   bool
		approver string
		err      error
		kind     core.ErrorKind
	}{
		"the backend":                    {backend, true, "eve@corp", nil, 0},
		"by its other name":              {core.Principal{Kind: core.Plugin, Name: "KeeperApi"}, true, "eve@corp", nil, 0},
		"it names nobody":                {backend, true, "", errNoName, core.Invalid},
		"it names the requester":         {backend, true, "bob", approval.ErrOwn, core.NotPermitted},
		"a name that moves a cursor":     {backend, true, "eve\x1b", errNoName, core.Invalid},
		"the setting is off":             {backend, false, "eve@corp", errNoApprover, core.NotPermitted},
		"the same in a user's session":   {inSession, true, "eve@corp", errNoApprover, core.NotPermitted},
		"another plugin":                 {core.Principal{Kind: core.Plugin, Name: "Chat", User: "0"}, true, "eve@corp", errNoApprover, core.NotPermitted},
		"a job that calls itself so":     {core.Principal{Kind: core.JobRun, Name: "KeeperAPI", User: "0"}, true, "eve@corp", errNoApprover, core.NotPermitted},
		"nobody that is known":           {core.Principal{Kind: core.Public, User: "1001"}, true, "", errNoApprover, core.NotPermitted},
		"the service's own Http request": {core.ServicePrincipal(), true, "", errNoApprover, core.NotPermitted},
	} {
		d, id := atDesk(t, tc.remote)
		answer := view.ApprovalAnswer{Approver: tc.approver, Comment: "fine"}
		v, err := d.Approve(tc.who, core.Peer{}, id, answer)
		if !errors.Is(err, tc.err) || err != nil && core.KindOf(err) != tc.kind {
			t.Errorf("%s: %v, expected %v", name, err, tc.err)
		}
		r, _ := d.approvals.Get(id)
		if (r.State == approval.Approved) != (tc.err == nil) || tc.err == nil && (v.Decisions[0].Approver != tc.approver || v.Decisions[0].ApproverID != core.UserID("remote:"+tc.approver)) {
			t.Errorf("%s: it is %s, %+v", name, r.State, v)
		}
		if list, err := d.List(tc.who, core.Peer{}); (err == nil) != (tc.remote && tc.who.Kind == core.Plugin && tc.who.Name != "Chat" && !tc.who.InUserSession) || err == nil && len(list) != 1 {
			t.Errorf("%s: lists %d, %v", name, len(list), err)
		}
	}
}

// A requester is told whom to ask who can decide (W16); whoever decides sees what the
// policy says.
func TestARequesterIsToldWhoCanDecide(t *testing.T) {
	d, id := atDesk(t, false)
	r, err := d.approvals.Get(id)
	if err != nil {
		t.Fatal(err)
	}
	d.codes = approval.NewCodes(approval.CodesConfig{Book: d.approvals, Read: func(string) ([]byte, error) { return nil, os.ErrNotExist }, Log: slog.New(slog.DiscardHandler)})
	for name, tc := range map[string]struct {
		person *approval.Person
		want   []string
	}{
		"the requester": {&approval.Person{User: "1000", Name: "bob"}, []string{"ada"}},
		"an approver":   {&approval.Person{User: "1001", Name: "ada"}, []string{"ada", "bob", "#1000", "nosuch"}},
		"the bus":       {nil, []string{"ada", "bob", "#1000", "nosuch"}},
	} {
		if got := d.approvalView(&r, tc.person).Approvers; len(got) != 1 || !slices.Equal(got[0].Users, tc.want) {
			t.Errorf("%s: %v, expected %q", name, got, tc.want)
		}
	}
	for user, known := range map[string]bool{"ada": true, "#1001": true, "nosuch": false, "#4000": false} {
		if _, got := d.knownUser(user); got != known {
			t.Errorf("%s is known: %v", user, got)
		}
	}
	d.host.Accounts = unanswered{fake.Accounts{}}
	if _, known := d.knownUser("#1001"); !known {
		t.Error("somebody whom a directory may have is not known")
	}
}
