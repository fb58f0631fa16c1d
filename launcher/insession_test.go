package launcher

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"kpm/core"
	"kpm/core/wire"
	"kpm/launcher/journal"
	"kpm/launcher/request"
	"kpm/platform/fake"
)

// in has every process be in a session.
func in(session core.SessionID) func(*world, *Config) {
	return func(_ *world, cfg *Config) {
		cfg.SessionOf = func(core.ProcessID) (core.SessionID, error) { return session, nil }
	}
}

// allowed is a request that policy has allowed, with these arguments as files.
func (w *world) allowed(k Submission, paths ...core.PathArgument) *visit {
	w.t.Helper()
	v := w.elevate(k)
	err := w.Answer(policy, wire.PolicyResponse{RequestID: v.id, SealDigest: v.asked.SealDigest, Decision: core.Allow, Paths: paths})
	if err != nil {
		w.t.Fatal(err)
	}
	v.event(wire.EventLaunch)
	return v
}

// What runs in a person's session is theirs: their account, and no file that was opened
// with other rights.
func TestACommandRunsInTheSessionOfWhoAsked(t *testing.T) {
	for as, want := range map[core.RunAs]core.SessionID{core.AsUser: "5", core.AsUserDesktop: "7"} {
		t.Run(as.String(), func(t *testing.T) {
			w := newWorld(t, in("5"), atDesk)
			secret := w.path("secret")
			if err := os.WriteFile(secret, nil, 0o600); err != nil {
				t.Fatal(err)
			}
			v := w.allowed(w.submission(w.path("bin/tool"), secret), core.PathArgument{Argument: 1, Path: secret})
			if err := w.LaunchInSession(context.Background(), v.job(wire.EventLaunch), v.id, as); err != nil {
				t.Fatal(err)
			}
			<-v.caller.started
			held := w.launch.last()
			if got := held.spec.As; got.RunAs != as || got.Session != want || got.Account.Name != "ada" || !slices.Equal(got.Account.Groups, ada.Groups) {
				t.Errorf("it runs as %+v, expected ada in session %s", got, want)
			}
			if len(held.spec.Opened) != 0 || !slices.Equal(held.spec.Argv, []string{w.path("bin/tool"), secret}) && !slices.Equal(held.spec.Argv, []string{"tool", secret}) {
				t.Errorf("argv %q with %d open files, expected what was asked for and none", held.spec.Argv, len(held.spec.Opened))
			}
			if env := strings.Join(held.spec.Env, " "); !strings.Contains(env, "HOME=/home/ada") || strings.Contains(env, "HOME=/root") {
				t.Errorf("environment %q", held.spec.Env)
			}
			if want := "opened evaluating allowed launching in-session launched"; held.recorded != want {
				t.Errorf("recorded %q at release, expected %q", held.recorded, want)
			}
			list := w.records()
			i := slices.IndexFunc(list, func(r journal.Record) bool { return r.Type == journal.InSession })
			if r := list[i]; r.User != "ada" || r.TargetID != "1000" || r.Cause != as.String() || r.Message != "login session "+string(want) || !strings.Contains(r.By, wire.EventLaunch) {
				t.Errorf("record %+v", r)
			}
			if err := w.Launch(context.Background(), v.job(wire.EventLaunch), v.id); !errors.Is(err, request.ErrConflict) {
				t.Errorf("launched once more: %v", err)
			}
			held.process.exit(core.ExitStatus{Code: 4})
			if r := <-v.result; r.Exit.Code != 4 {
				t.Errorf("it ended with %+v", r)
			}
		})
	}
}

// Where it cannot run there, nothing runs anywhere, and who asked is told what to do.
func TestACommandThatRunsInNoSession(t *testing.T) {
	for name, tc := range map[string]struct {
		as     core.RunAs
		change func(*world, *Submission)
		says   string
	}{
		"from no session":         {core.AsUser, nil, "log in, at the console, by ssh or on a desktop"},
		"on no desktop":           {core.AsUserDesktop, nil, "log in graphically"},
		"as another user":         {core.AsUser, func(w *world, k *Submission) { k.TargetUser = "bob" }, "user bob was asked for"},
		"a program of the user's": {core.AsUser, func(w *world, k *Submission) { k.Executable = w.handle(w.path("home/mine")) }, "users can change"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(w *world, _ *Config) {
				bob := core.Account{User: "1001", Name: "bob", Group: "1001", Home: "/home/bob"}
				w.seals.Accounts = fake.Accounts{root, ada, bob}
			})
			k := w.submission(w.path("bin/tool"))
			if tc.change != nil {
				tc.change(w, &k)
			}
			v := w.allowed(k)
			err := w.LaunchInSession(context.Background(), v.job(wire.EventLaunch), v.id, tc.as)
			if err == nil || core.KindOf(err) != core.Conflict || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%v, expected %q", err, tc.says)
			}
			if refused := v.refused(); !strings.Contains(refused.Message, tc.says) {
				t.Errorf("told %q, expected %q", refused.Message, tc.says)
			}
			if len(w.launch.held) != 0 {
				t.Error("something was started")
			}
		})
	}
}

// Policy's own word on the account holds: it is not run as somebody with other rights.
func TestACommandOfAnAccountOfItsOwnRunsInNoSession(t *testing.T) {
	w := newWorld(t, in("5"))
	v := w.elevate(w.submission(w.path("bin/tool")))
	err := w.Answer(policy, wire.PolicyResponse{RequestID: v.id, SealDigest: v.asked.SealDigest, Decision: core.Allow, Account: &core.TransientTerms{}})
	if err != nil {
		t.Fatal(err)
	}
	v.event(wire.EventLaunch)
	err = w.LaunchInSession(context.Background(), v.job(wire.EventLaunch), v.id, core.AsUser)
	if core.KindOf(err) != core.Conflict || len(w.launch.held) != 0 {
		t.Errorf("%v, %d started", err, len(w.launch.held))
	}
}

// Where policy has it run as whoever asked, it does whatever the launch job asks for, and
// nothing is launched in its place.
func TestPolicyHasACommandRunInTheSessionOfWhoAsked(t *testing.T) {
	for word, tc := range map[string]struct {
		session core.SessionID
		as      core.RunAs
	}{core.SessionAny: {"5", core.AsUser}, core.SessionDesktop: {"7", core.AsUserDesktop}, "Elsewhere": {}} {
		t.Run(word, func(t *testing.T) {
			w := newWorld(t, in("5"), atDesk)
			v := w.elevate(w.submission(w.path("bin/tool")))
			err := w.Answer(policy, wire.PolicyResponse{RequestID: v.id, SealDigest: v.asked.SealDigest, Decision: core.Allow, Session: word})
			if err != nil {
				t.Fatal(err)
			}
			if e := v.event(wire.EventLaunch); e.Context["LaunchAs"] != word {
				t.Errorf("the job is told %v", e.Context)
			}
			err = w.Launch(context.Background(), v.job(wire.EventLaunch), v.id)
			if tc.session == "" {
				if core.KindOf(err) != core.Conflict || len(w.launch.held) != 0 {
					t.Errorf("%v, %d started", err, len(w.launch.held))
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			<-v.caller.started
			held := w.launch.last()
			if got := held.spec.As; got.RunAs != tc.as || got.Session != tc.session || got.Account.Name != "ada" {
				t.Errorf("it runs as %+v", got)
			}
			held.process.exit(core.ExitStatus{})
			<-v.result
		})
	}
}

// Attack: KeeperPolicy is asked once more and answers twice, or somebody else answers:
// what was allowed with the person's own rights alone would run as root.
func TestASecondAnswerChangesNotWhereItRuns(t *testing.T) {
	for name, second := range map[string]struct {
		from core.Principal
		a    wire.PolicyResponse
		want error
	}{
		"a refusal":              {policy, wire.PolicyResponse{Decision: core.Deny}, request.ErrConflict},
		"without a session":      {policy, wire.PolicyResponse{Decision: core.Allow}, request.ErrConflict},
		"pending":                {policy, wire.PolicyResponse{Decision: core.Pending, Controls: []core.Control{core.ControlJustify}}, request.ErrConflict},
		"as an account, instead": {policy, wire.PolicyResponse{Decision: core.Allow, Account: &core.TransientTerms{}}, request.ErrConflict},
		"of another plugin":      {core.Principal{Kind: core.Plugin, Name: "KeeperLogger"}, wire.PolicyResponse{Decision: core.Allow}, ErrNotPermitted},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, in("5"), atDesk)
			v := w.elevate(w.submission(w.path("bin/tool")))
			err := w.Answer(policy, wire.PolicyResponse{RequestID: v.id, SealDigest: v.asked.SealDigest, Decision: core.Allow, Session: core.SessionAny})
			if err != nil {
				t.Fatal(err)
			}
			second.a.RequestID, second.a.SealDigest = v.id, v.asked.SealDigest
			if err := w.Answer(second.from, second.a); !errors.Is(err, second.want) {
				t.Errorf("the second answer: %v", err)
			}
			v.event(wire.EventLaunch)
			if err := w.Launch(context.Background(), v.job(wire.EventLaunch), v.id); err != nil {
				t.Fatal(err)
			}
			<-v.caller.started
			held := w.launch.last()
			if got := held.spec.As; got.RunAs != core.AsUser || got.Account.Name != "ada" {
				t.Errorf("it runs as %+v", got)
			}
			held.process.exit(core.ExitStatus{})
			<-v.result
		})
	}
}

// Only the job run that was started to launch a request may, and only in a session.
func TestWhoLaunchesInASession(t *testing.T) {
	w := newWorld(t, in("5"))
	v := w.allowed(w.submission(w.path("bin/tool")))
	other := v.job(wire.EventLaunch)
	other.Request = core.NewRequestID()
	for name, from := range map[string]core.Principal{"another job": v.job("inventory"), "of another request": other, "a plugin": policy} {
		if err := w.LaunchInSession(context.Background(), from, v.id, core.AsUser); !errors.Is(err, ErrNotPermitted) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, as := range []core.RunAs{core.AsService, core.AsUserElevated} {
		if err := w.LaunchInSession(context.Background(), v.job(wire.EventLaunch), v.id, as); !errors.Is(err, ErrNotPermitted) {
			t.Errorf("as %s: %v", as, err)
		}
	}
	if v.state() != request.Allowed || len(w.launch.held) != 0 {
		t.Errorf("the request is %s, %d started", v.state(), len(w.launch.held))
	}
}
