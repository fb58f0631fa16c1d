package conformance

import (
	"encoding/json"
	"errors"
	"io/fs"
	"testing"

	"kpm/core"
)

func sessions(t *testing.T, b *bench) {
	all, err := b.Sessions.List(t.Context())
	must(t, err)
	known := map[core.SessionID]bool{"": true}
	for _, s := range all {
		if known[s.ID] || s.User == "" {
			t.Errorf("%+v: a session without an id of its own, or of nobody, among %+v", s, all)
		}
		known[s.ID] = true
	}
	if of, err := b.Sessions.Of(b.Self()); err != nil || !known[of] {
		t.Errorf("this process is in session %q of %+v, %v", of, all, err)
	}
	another := b.Self()
	another.Start++
	if of, err := b.Sessions.Of(another); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a process that this one's number belonged to is in session %q, %v", of, err)
	}
}

func inSession(t *testing.T, b *bench) {
	for _, runAs := range []core.RunAs{core.AsUser, core.AsUserDesktop} {
		spec := b.spec("user")
		spec.As = b.Login(runAs)
		out, status := b.run(spec)
		var user core.UserID
		must(t, json.Unmarshal([]byte(out), &user))
		if user != spec.As.Account.User || status.Code != 0 {
			t.Errorf("%s: it runs as user %q, expected %q: %+v", runAs, user, spec.As.Account.User, status)
		}
	}
}

// Sessions end, and their numbers are other people's then.
func notInSession(t *testing.T, b *bench) {
	for _, runAs := range []core.RunAs{core.AsUser, core.AsUserDesktop} {
		for _, session := range []core.SessionID{"0123456789", "../1", b.Foreign} {
			spec := b.spec("user")
			spec.As = b.Login(runAs)
			spec.As.Session = session
			if held, err := b.Launcher.Prepare(t.Context(), spec); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s in session %q: %v, expected fs.ErrNotExist", runAs, session, err)
				if err == nil {
					held.Discard()
				}
			}
		}
	}
}
