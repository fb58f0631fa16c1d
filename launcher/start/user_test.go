package start

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"kpm/core"
	"kpm/platform/fake"
	"kpm/platform/none"
)

// people are the sessions that there are.
type people struct {
	none.Sessions
	list []core.Session
}

func (p people) List(context.Context) ([]core.Session, error) { return p.list, nil }

// A task runs in the session that is meant, as its user, and never with authority.
func TestStartUser(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	system := fake.New(dir,
		core.Account{User: fake.Administrator, Name: "root", Group: "0"}, core.Account{User: "1000", Name: "ada"}, core.Account{User: "1001", Name: "bob"})
	var ran []string
	looked := make(chan struct{}, 1) // at who it is: nobody, once it has ended
	tool := filepath.Join(dir, "tool")
	if err := system.Launcher.Install(tool, func(_ context.Context, p *fake.Process) core.ExitStatus {
		as := p.Spec.As
		ran = append(ran, strings.Join([]string{as.RunAs.String(), as.Account.Name, string(as.Session), string(as.Login)}, " "))
		<-looked
		return core.ExitStatus{}
	}); err != nil {
		t.Fatal(err)
	}
	host := system.Host()
	registry := NewRegistry(host.Tree, host.Tree.Self())
	starter := New(Config{
		Facts: host.Facts, Files: host.Files, Accounts: host.Accounts, Sessions: none.Sessions{}, Launcher: host.Launcher, Tree: host.Tree,
		Registry: registry, Dir: filepath.Join(dir, "children"), Log: slog.New(slog.DiscardHandler),
	})
	spec := func(as core.RunAs, user string, session core.SessionID) core.UserSpec {
		return core.UserSpec{
			ServiceSpec: core.ServiceSpec{As: core.Principal{Kind: core.JobRun, Name: "j"}, Path: tool, Argv: []string{tool}, Dir: dir},
			RunAs:       as, User: user, Session: session,
		}
	}
	if _, err := starter.StartUser(t.Context(), spec(core.AsUser, "", "")); !errors.Is(err, errors.ErrUnsupported) || !strings.Contains(err.Error(), "sessions are not known") {
		t.Errorf("without sessions: %v", err)
	}
	starter.Sessions = people{list: []core.Session{
		{ID: "1", User: "1000"}, {ID: "2", User: "1000", Graphical: true}, {ID: "3", User: "1001", Graphical: true, Active: true},
	}}
	for _, tc := range []struct {
		spec core.UserSpec
		want string // of what ran, or of the error
	}{
		{spec(core.AsUser, "", ""), "User bob 3 1001"},
		{spec(core.AsUser, "ada", "1"), "User ada 1 1000"},
		{spec(core.AsUserDesktop, "ada", ""), "UserDesktop ada 2 1000"},
		{spec(core.AsUserElevated, "ada", "2"), "UserElevated root 2 1000"},
		{spec(core.AsUserDesktop, "ada", "1"), "nobody is logged in whose desktop it could run on; log in graphically"},
		{spec(core.AsUser, "ada", "3"), "nobody is logged in"}, // somebody else's session
		{spec(core.AsUser, "ada", "9"), "nobody is logged in"},
		{spec(core.AsUser, "eve", ""), "no such account"},
	} {
		ran = nil
		process, err := starter.StartUser(t.Context(), tc.spec)
		if err != nil {
			if !strings.Contains(err.Error(), tc.want) {
				t.Errorf("%+v: %v, want %s", tc.spec, err, tc.want)
			}
			continue
		}
		peer := core.Peer{User: "1001", Processes: []core.ProcessID{process.ID()}, SameIdentity: true}
		switch {
		case tc.spec.RunAs == core.AsUserElevated:
			peer.User, peer.Administrator = "0", true
		case tc.spec.User == "ada":
			peer.User = "1000"
		}
		if who, _ := registry.Identify(peer); who.Kind != core.JobRun || who.Tier() != core.TierUser {
			t.Errorf("%+v acts as %+v", tc.spec, who)
		}
		looked <- struct{}{}
		if _, err := process.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		if len(ran) != 1 || ran[0] != tc.want {
			t.Errorf("%+v ran as %q, want %q", tc.spec, ran, tc.want)
		}
	}
}
