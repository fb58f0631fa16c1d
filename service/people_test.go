package service

import (
	"testing"

	"kpm/core"
	"kpm/core/port"
	"kpm/launcher/start"
	"kpm/platform/fake"
)

// unanswered is a user database that does not answer.
type unanswered struct{ fake.Accounts }

func (unanswered) ByID(core.UserID) (core.Account, error) {
	return core.Account{}, core.ErrNoAnswer
}

func TestWhoIsNobodyAtTheAPI(t *testing.T) {
	id := core.ProcessID{PID: 700, Start: 1}
	tree := fake.NewTree(core.ProcessID{PID: 1, Start: 1})
	here := fake.Accounts{{User: "1000", Name: "ada"}}
	for name, tc := range map[string]struct {
		accounts port.Accounts
		allow    bool
		peer     core.Peer
		want     core.Kind
	}{
		"a user":                           {here, false, core.Peer{User: "1000"}, core.User},
		"a user who is known":              {unanswered{}, false, core.Peer{User: "1000", Share: "1000"}, core.User},
		"a user who is confined":           {here, false, core.Peer{User: "1000", Confined: "seccomp"}, core.Public},
		"nobody":                           {here, false, core.Peer{User: "4242", Share: core.Unknown}, core.Public},
		"nobody, whom a setting lets in":   {here, true, core.Peer{User: "4242", Share: core.Unknown}, core.User},
		"one of whom nobody can say":       {unanswered{}, false, core.Peer{User: "1000", Share: core.Unknown}, core.Public},
		"nobody, let in, confined":         {here, true, core.Peer{User: "4242", Confined: "seccomp"}, core.Public},
		"root needs no account to be root": {fake.Accounts{}, false, core.Peer{User: "0", Administrator: true}, core.Admin},
		"root that has less":               {fake.Accounts{{User: "0", Name: "root"}}, false, core.Peer{User: "0", Confined: "bounding set"}, core.Public},
	} {
		tc.peer.Processes, tc.peer.SameIdentity = []core.ProcessID{id}, true
		p := people{start.NewRegistry(tree, core.ProcessID{PID: 1, Start: 1}), tc.accounts, tc.allow}
		if who, _ := p.Identify(tc.peer); who.Kind != tc.want || who.User != tc.peer.User {
			t.Errorf("%s: %+v, expected %s", name, who, tc.want)
		}
	}
}
