package launcher

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"kpm/core"
	"kpm/core/door"
	"kpm/core/wire"
	"kpm/launcher/approval"
)

// listed asks what ada may run; answer is the policy plugin.
func listed(t *testing.T, w *world, k Submission, answer func(wire.PolicyRequest)) Result {
	t.Helper()
	done := make(chan Result, 1)
	go func() { done <- w.Elevate(t.Context(), k, nil, nil) }()
	select {
	case q := <-w.bus.asks:
		answer(q)
	case r := <-done:
		return r
	}
	return <-done
}

// answered answers a question for a listing.
func answered(t *testing.T, w *world, from core.Principal, q wire.PolicyRequest, a wire.PolicyResponse) {
	t.Helper()
	if taken, err := w.PolicyListed(from, string(q.RequestID), a); !taken || err != nil {
		t.Errorf("%v, %v", taken, err)
	}
}

// asking is ada's keepersudo -l.
func asking(asJSON bool) Submission {
	k := Submission{List: true, JSON: asJSON}
	k.Peer = core.Peer{User: "1000", Processes: []core.ProcessID{client}, SameIdentity: true}
	return k
}

func TestListing(t *testing.T) {
	list := core.Listing{More: 2, Permissions: []core.Permission{
		{PolicyRef: core.PolicyRef{ID: "r", Name: "Restart"}, Grants: true, Controls: []core.Control{core.ControlJustify}, Programs: []string{"/usr/bin/systemctl"}, Commands: []string{"systemctl restart nginx"}},
		{PolicyRef: core.PolicyRef{ID: "p"}, Grants: true, Programs: []string{"psql"}, Targets: []string{"postgres"}},
		{PolicyRef: core.PolicyRef{ID: "m"}, Controls: []core.Control{badgeName}, Programs: []string{"*"}},
		{PolicyRef: core.PolicyRef{ID: "d", Name: "No shells"}, Denies: true, Programs: []string{"bash", "sh"}, Targets: []string{"*"}},
	}}
	w := newWorld(t, withBadge(false))
	answer := func(q wire.PolicyRequest) {
		if q.EventType != wire.EventList || q.UserID != "1000" || q.UserName != "ada" || q.MachineName != "host" || q.SealDigest != "" || q.Administrator {
			t.Errorf("asked %+v", q)
		}
		answered(t, w, policy, q, wire.PolicyResponse{Decision: core.Deny, Listing: &list})
		if taken, err := w.PolicyListed(policy, string(q.RequestID), wire.PolicyResponse{Listing: &core.Listing{Everything: true}}); taken || err != nil {
			t.Errorf("a second answer was taken: %v", err)
		}
	}
	want := `ada may run on host, at this moment:
  as the administrator: systemctl restart nginx
    asks for: JUSTIFY (The person gives a reason in the terminal that the request came from)
    by policy: Restart
  as postgres: psql
    by policy: p
whatever allows them, these are refused:
  as anybody: bash; sh
    by policy: No shells
whatever allows them, these ask for more:
  as anybody: every program
    asks for: BADGE (The person shows a card), which nothing here can verify yet, so that it is refused
    by policy: m
and 2 more policies
`
	if got := listed(t, w, asking(false), answer); got.Listing != want {
		t.Errorf("got\n%s%+v", got.Listing, got.Refused)
	}
	var got struct {
		User, Machine string
		Policies      []struct {
			PolicyID    string `json:"PolicyId"`
			Grants      bool
			Satisfiable bool
		}
		More int
	}
	text := listed(t, w, asking(true), answer).Listing
	if err := json.Unmarshal([]byte(text), &got); err != nil || got.User != "ada" || len(got.Policies) != 4 || !got.Policies[0].Satisfiable || got.Policies[2].Satisfiable || got.More != 2 {
		t.Errorf("%v: %s", err, text)
	}
	if w.recorded() != "" {
		t.Errorf("it is in the journal: %s", w.recorded())
	}
	list = core.Listing{}
	if got := listed(t, w, asking(false), answer); !strings.HasPrefix(got.Listing, "No policy allows ada anything on host at this moment.") {
		t.Error(got.Listing)
	}
	list = core.Listing{Everything: true}
	if got := listed(t, w, asking(false), answer); !strings.HasPrefix(got.Listing, "ada may run everything on host") {
		t.Error(got.Listing)
	}
}

// A listing says who can approve what, and whom to ask for what is not allowed at all.
func TestAListingSaysWhomToAsk(t *testing.T) {
	list := core.Listing{Permissions: []core.Permission{
		{PolicyRef: core.PolicyRef{ID: "a"}, Grants: true, Controls: []core.Control{core.ControlApproval}, Programs: []string{"*"}, Approval: &core.ApprovalRule{Users: []string{"ada", "bob"}, Groups: []string{"ops"}, Number: 1}},
		{PolicyRef: core.PolicyRef{ID: "b"}, Grants: true, Programs: []string{"id"}},
	}}
	w := newWorld(t, func(_ *world, cfg *Config) {
		cfg.Approvals = new(approval.Book)
		cfg.Contacts = func(_ context.Context, user core.Account) []string {
			return []string{"the desk, for " + user.Name, "\x1bbob"}
		}
	})
	answer := func(q wire.PolicyRequest) {
		answered(t, w, policy, q, wire.PolicyResponse{Decision: core.Deny, Listing: &list})
	}
	if got := listed(t, w, asking(false), answer).Listing; strings.Count(got, "approved by") != 1 || !strings.Contains(got, "    approved by: 1 of bob, group ops, the administrators\n") || strings.Contains(got, "the desk") {
		t.Error(got)
	}
	var got struct {
		Ask      []string
		Policies []struct{ Whom string }
	}
	text := listed(t, w, asking(true), answer).Listing
	if err := json.Unmarshal([]byte(text), &got); err != nil || len(got.Ask) != 2 || got.Ask[0] != "the desk, for ada" || len(got.Policies) != 2 || got.Policies[0].Whom != "1 of bob, group ops, the administrators" || got.Policies[1].Whom != "" {
		t.Errorf("%v: %s", err, text)
	}
	list = core.Listing{}
	if got, want := listed(t, w, asking(false), answer).Listing, "No policy allows ada anything on host at this moment. If you need something, ask the desk, for ada, or \uFFFDbob.\n"; got != want {
		t.Errorf("%q, expected %q", got, want)
	}
}

// Attack: somebody else answers, or is asked about; or who asks is not one person.
func TestAListingIsTheCallersAndThePolicyPlugins(t *testing.T) {
	w := newWorld(t)
	real := core.Listing{Everything: true}
	got := listed(t, w, asking(false), func(q wire.PolicyRequest) {
		for _, forged := range []core.Principal{{Kind: core.Plugin, Name: "Other"}, {Kind: core.User, User: "1000"}, {Kind: core.JobRun, Name: wire.PolicyPlugin}} {
			if _, err := w.PolicyListed(forged, string(q.RequestID), wire.PolicyResponse{Listing: &core.Listing{}}); !errors.Is(err, ErrNotPermitted) {
				t.Errorf("%v answered: %v", forged, err)
			}
		}
		answered(t, w, policy, q, wire.PolicyResponse{Listing: &real})
	})
	if !strings.Contains(got.Listing, "everything") {
		t.Errorf("%+v", got)
	}
	for name, change := range map[string]func(*core.Peer){
		"foreign":        func(p *core.Peer) { p.Foreign = true },
		"two identities": func(p *core.Peer) { p.SameIdentity = false },
		"confined":       func(p *core.Peer) { p.Confined = "no_new_privs" },
		"no account":     func(p *core.Peer) { p.User = "4242" },
	} {
		k := asking(false)
		change(&k.Peer)
		if got := w.Elevate(t.Context(), k, nil, nil); got.Refused == nil || got.Listing != "" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestAListingThatIsNotAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		got := listed(t, w, asking(false), func(wire.PolicyRequest) {})
		if got.Refused == nil || got.Refused.Code != door.CodeUnavailable {
			t.Errorf("%+v", got)
		}
		got = listed(t, w, asking(false), func(q wire.PolicyRequest) {
			answered(t, w, policy, q, wire.PolicyResponse{Decision: core.Deny, Message: "The policies cannot be read."})
		})
		if got.Refused == nil || !strings.Contains(got.Refused.Message, "The policies cannot be read.") {
			t.Errorf("%+v", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		w.Close(ctx)
	})
}

// An administrator asks for somebody else. Attack: a user does, to find whom to attack
// (CVE-2025-46718 of sudo-rs), and is told the same whether there is such a user.
func TestAListingOfSomebodyElse(t *testing.T) {
	w := newWorld(t)
	k := asking(false)
	said := map[string]bool{}
	for _, name := range []string{"ada", "nobody-of-that-name", "#1000", "root"} {
		k.ListFor = name
		got := w.Elevate(t.Context(), k, nil, nil)
		if got.Refused == nil || got.Refused.Code != door.CodeDenied || got.Listing != "" {
			t.Fatalf("%s: %+v", name, got)
		}
		said[got.Refused.Message] = true
	}
	if len(said) != 1 {
		t.Errorf("it is said who there is: %v", said)
	}
	k.Peer = core.Peer{User: "0", Processes: []core.ProcessID{client}, SameIdentity: true, Administrator: true}
	k.ListFor = "ada"
	got := listed(t, w, k, func(q wire.PolicyRequest) {
		if q.UserName != "ada" || q.UserID != "1000" || q.Administrator || q.RequestedBy != core.ByTerminal {
			t.Errorf("asked %+v", q)
		}
		answered(t, w, policy, q, wire.PolicyResponse{Decision: core.Deny, Listing: &core.Listing{}})
	})
	if !strings.HasPrefix(got.Listing, "No policy allows ada anything") {
		t.Errorf("%+v", got)
	}
	k.ListFor = "nobody-of-that-name"
	if got := w.Elevate(t.Context(), k, nil, nil); got.Refused == nil || got.Refused.Code != door.CodeNotFound {
		t.Errorf("who is not there: %+v", got)
	}
}

// Attack: one user asks many times at once, and each time a directory is asked who the
// administrators are.
func TestWhomToAskIsLookedUpInThePlaceOfAListing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan struct{})
		w := newWorld(t, func(_ *world, cfg *Config) {
			cfg.Contacts = func(context.Context, core.Account) []string {
				<-hold
				return nil
			}
		})
		answer := func(q wire.PolicyRequest) {
			answered(t, w, policy, q, wire.PolicyResponse{Decision: core.Deny, Listing: &core.Listing{}})
		}
		told := make(chan Result, 2)
		for range 2 {
			go func() { told <- w.Elevate(t.Context(), asking(true), nil, nil) }()
		}
		answer(<-w.bus.asks)
		synctest.Wait()
		select {
		case q := <-w.bus.asks:
			t.Error("both are told at once")
			answer(q)
			close(hold)
		default:
			close(hold)
			answer(<-w.bus.asks)
		}
		for range 2 {
			if r := <-told; r.Refused != nil {
				t.Error(r.Refused)
			}
		}
	})
}
