package launcher

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kpm/core"
	"kpm/core/redirect"
	"kpm/core/wire"
	"kpm/launcher/journal"
	"kpm/launcher/request"
)

// rules stand for the rules of the agent: one program in place of another.
type rules struct {
	from string
	to   redirect.Launch
	err  error
}

func (r *rules) Find(s redirect.Subject) (redirect.Launch, bool, error) {
	return r.to, r.err == nil && s.Path == r.from, r.err
}

// redirecting is a machine on which tool is replaced by other, a Protected program.
func redirecting(t *testing.T) (*world, *rules) {
	t.Helper()
	r := &rules{}
	w := newWorld(t, func(w *world, cfg *Config) { cfg.Redirects = r })
	w.program("safe/other", "\x7fELF other", true)
	w.files.protected[w.path("safe")] = true
	r.from, r.to = w.path("bin/tool"), redirect.Launch{Rule: 3, Path: w.path("safe/other"), Args: []string{"-R", "a b"}}
	return w, r
}

// A rule's program is launched in a request of its own, and who asked is denied.
func TestARuleHasAnotherProgramLaunched(t *testing.T) {
	w, _ := redirecting(t)
	v := w.elevate(w.submission(w.path("bin/tool"), "x"))
	v.answer(core.Allow)
	v.event(wire.EventLaunch)
	if err := w.Launch(context.Background(), v.job(wire.EventLaunch), v.id); !errors.Is(err, ErrRedirected) {
		t.Errorf("the program itself: %v", err)
	}
	asked, err := w.substituted(v, wire.PolicyResponse{Decision: core.Deny, Uncovered: true})
	if err != nil {
		t.Fatal(err)
	}
	if asked.FilePath != w.path("safe/other") || !slices.Equal(asked.Arguments[1:], []string{"-R", "a b"}) || asked.UserName != "ada" || asked.TargetUser != "root" || asked.SealDigest == v.asked.SealDigest {
		t.Errorf("policy was asked %+v", asked)
	}
	if refused := v.refused(); refused.Code != "denied" || !strings.Contains(refused.Message, "policy has "+w.path("safe/other")+" launched in its place") {
		t.Errorf("told %+v", refused)
	}
	held := w.launch.last()
	if held.content != "\x7fELF other" || !slices.Equal(held.spec.Argv, []string{w.path("safe/other"), "-R", "a b"}) && !slices.Equal(held.spec.Argv, []string{"other", "-R", "a b"}) ||
		held.spec.Streams.Input != nil || held.spec.Terminal != nil || held.spec.As.Account.Name != "root" || held.spec.Outlives {
		t.Errorf("launched %q of %q with %+v", held.spec.Argv, held.content, held.spec)
	}
	if env := strings.Join(held.spec.Env, " "); !strings.Contains(env, "SUDO_USER=ada") || strings.Contains(env, "LD_PRELOAD") || strings.Contains(env, string(v.id)) {
		t.Errorf("environment %q", held.spec.Env)
	}
	if want := "opened evaluating allowed opened evaluating launching denied launched"; held.recorded != want {
		t.Errorf("recorded %q at release, expected %q", held.recorded, want)
	}
	if err := w.Substitute(context.Background(), v.job(wire.EventLaunch), v.id); !errors.Is(err, request.ErrConflict) {
		t.Errorf("once more: %v", err)
	}
	held.process.exit(core.ExitStatus{Code: 3})
	ended := w.ended(t)
	if i := slices.IndexFunc(ended, func(r journal.Record) bool { return r.InsteadOf != "" }); i < 0 || ended[i].InsteadOf != v.id || ended[i].Request == v.id || ended[i].Caller != nil || ended[i].User != "ada" {
		t.Errorf("records %+v", ended)
	}
	for _, r := range ended {
		switch {
		case r.Type == journal.Launching && (r.Cause != "substitute" || r.Message != "rule 3 of metadata.redirect.rules"),
			r.Type == journal.Ended && r.Exit.Code != 3, r.Type == journal.Denied && r.Cause != "redirected":
			t.Errorf("%+v", r)
		}
	}
}

// substituted has a rule's program launched in place of what v is about, of which policy
// says a, and returns what it was asked.
func (w *world) substituted(v *visit, a wire.PolicyResponse) (wire.PolicyRequest, error) {
	w.t.Helper()
	done := make(chan error, 1)
	go func() { done <- w.Substitute(context.Background(), v.job(wire.EventLaunch), v.id) }()
	asked := <-w.bus.asks
	a.RequestID, a.SealDigest = asked.RequestID, asked.SealDigest
	if err := w.Answer(policy, a); err != nil {
		w.t.Error(err)
	}
	return asked, <-done
}

// What a rule names is no way around policy: a DENY denies it, and a control that is
// required of it has to be satisfied for what was redirected. The rule is enough where
// policy says nothing.
func TestPolicyDecidesOnWhatARuleNames(t *testing.T) {
	denies := []core.PolicyRef{{ID: "d", Name: "No shells"}}
	badges := []core.Control{badgeName}
	for name, tc := range map[string]struct {
		satisfied bool // the badge was, for what is redirected
		answer    wire.PolicyResponse
		refusal   string // "" if it is launched
	}{
		"allowed":                         {false, wire.PolicyResponse{Decision: core.Allow}, ""},
		"nothing is said of it":           {false, wire.PolicyResponse{Decision: core.Deny, Uncovered: true}, ""},
		"denied":                          {false, wire.PolicyResponse{Decision: core.Deny, Policies: denies, Message: `Policy "No shells" refuses this command.`}, `Policy "No shells" refuses`},
		"denied by nobody in particular":  {false, wire.PolicyResponse{Decision: core.Deny, Message: "No policy can be read."}, "No policy can be read."},
		"denied, and said to be nobody's": {false, wire.PolicyResponse{Decision: core.Deny, Uncovered: true, Policies: denies}, "was to be launched in its place"},
		"a control that was satisfied":    {true, wire.PolicyResponse{Decision: core.Pending, Controls: badges, Policies: denies}, ""},
		"a control that was not":          {false, wire.PolicyResponse{Decision: core.Pending, Controls: badges, Policies: denies}, `policy "No shells" asks for BADGE, which was not asked for`},
		"in a session of whoever asks":    {false, wire.PolicyResponse{Decision: core.Allow, Session: core.SessionAny}, "as somebody else than a rule launches"},
		"as an account of its own":        {true, wire.PolicyResponse{Decision: core.Pending, Controls: badges, Account: &core.TransientTerms{}}, "as somebody else than a rule launches"},
		"no word that anybody knows":      {false, wire.PolicyResponse{Decision: "PERHAPS"}, "could not be understood"},
	} {
		t.Run(name, func(t *testing.T) {
			r := &rules{}
			w := newWorld(t, withBadge(true), func(w *world, cfg *Config) { cfg.Redirects = r })
			w.program("safe/other", "\x7fELF other", true)
			w.files.protected[w.path("safe")] = true
			r.from, r.to = w.path("bin/tool"), redirect.Launch{Rule: 3, Path: w.path("safe/other")}
			v := w.elevate(w.submission(w.path("bin/tool")))
			v.caller.answers = []any{"4711"}
			if tc.satisfied {
				v.answer(core.Pending, badgeName)
				v.event(wire.EventPolicyEvaluationPending)
				if err := w.Satisfy(t.Context(), v.job("privilege-elevation-policy-controls"), v.id, badgeName); err != nil {
					t.Fatal(err)
				}
			} else {
				v.answer(core.Allow)
			}
			v.event(wire.EventLaunch)
			_, err := w.substituted(v, tc.answer)
			refused := v.refused()
			if tc.refusal == "" {
				if err != nil || len(w.launch.held) != 1 {
					t.Fatalf("%v, %d children", err, len(w.launch.held))
				}
				w.launch.last().process.exit(core.ExitStatus{})
				return
			}
			if core.KindOf(err) != core.Conflict || !strings.Contains(refused.Message, tc.refusal) || len(w.launch.held) > 0 {
				t.Errorf("%v, told %q, %d children", err, refused.Message, len(w.launch.held))
			}
			if got := w.recorded(); !strings.HasSuffix(got, "opened evaluating denied denied") {
				t.Errorf("recorded %q", got)
			}
		})
	}
}

// ended closes the launcher and returns the journal, when everything has its end.
func (w *world) ended(t *testing.T) []journal.Record {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !strings.HasSuffix(w.recorded(), "ended"); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the end was never noticed: %s", w.recorded())
		}
	}
	if err := w.Close(context.Background()); err != nil {
		t.Error(err)
	}
	return w.records()
}

// Attack: what policy lets run with the person's own rights alone, or an account's, brings
// a program into being that runs as root.
func TestWhatRunsAsSomebodyElseIsNotRedirected(t *testing.T) {
	for name, a := range map[string]wire.PolicyResponse{
		"in a session": {Decision: core.Allow, Session: core.SessionAny}, "as an account": {Decision: core.Allow, Account: &core.TransientTerms{}},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := redirecting(t)
			v := w.elevate(w.submission(w.path("bin/tool")))
			a.RequestID, a.SealDigest = v.id, v.asked.SealDigest
			if err := w.Answer(policy, a); err != nil {
				t.Fatal(err)
			}
			v.event(wire.EventLaunch)
			if err := w.Substitute(context.Background(), v.job(wire.EventLaunch), v.id); !errors.Is(err, request.ErrConflict) || len(w.launch.held) > 0 {
				t.Errorf("%v, %d children", err, len(w.launch.held))
			}
		})
	}
}

// Without a rule, and by anybody else, nothing is launched in a program's place.
func TestWhoMaySubstitute(t *testing.T) {
	w, r := redirecting(t)
	r.from = w.path("bin/another")
	v := w.elevate(w.submission(w.path("bin/tool")))
	if err := w.Substitute(context.Background(), v.job(wire.EventLaunch), v.id); !errors.Is(err, ErrNotRedirected) {
		t.Errorf("without a rule: %v", err)
	}
	r.from = w.path("bin/tool")
	if err := w.Substitute(context.Background(), v.job(wire.EventLaunch), v.id); !errors.Is(err, request.ErrConflict) {
		t.Errorf("before policy has allowed it: %v", err)
	}
	v.answer(core.Allow)
	v.event(wire.EventLaunch)
	other := v.job(wire.EventLaunch)
	other.Request = "R9"
	for _, by := range []core.Principal{policy, other, v.job("my-job"), core.ServicePrincipal()} {
		if err := w.Substitute(context.Background(), by, v.id); !errors.Is(err, ErrNotPermitted) {
			t.Errorf("by %s: %v", by, err)
		}
	}
	if state := v.state(); state != request.Allowed || len(w.launch.held) > 0 {
		t.Errorf("%s, %d children", state, len(w.launch.held))
	}
}

// What a rule names has to be an administrator's, and there; and rules that cannot be read
// let nothing be launched, neither the one program nor the other.
func TestRulesThatCannotBeFollowedLaunchNothing(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*world, *rules)
		want   string
	}{
		"a program that others can change": {func(w *world, r *rules) { w.files.protected[r.to.Path] = false }, core.ErrNotProtected.Error()},
		"in a folder that others can":      {func(w *world, r *rules) { w.files.protected[filepath.Dir(r.to.Path)] = false }, core.ErrNotProtected.Error()},
		"a program that is not there":      {func(w *world, r *rules) { r.to.Path = w.path("safe/gone") }, "no such file"},
		"rules that nobody can read":       {func(w *world, r *rules) { r.err = errors.New("rules[0] is a number") }, "the redirect rules cannot be followed: rules[0] is a number"},
	} {
		t.Run(name, func(t *testing.T) {
			w, r := redirecting(t)
			tc.change(w, r)
			v := w.elevate(w.submission(w.path("bin/tool")))
			v.answer(core.Allow)
			v.event(wire.EventLaunch)
			err := w.Substitute(context.Background(), v.job(wire.EventLaunch), v.id)
			if err == nil || !strings.Contains(err.Error(), tc.want) || core.KindOf(err) != core.Internal {
				t.Errorf("substitute: %v", err)
			}
			if err := w.Launch(context.Background(), v.job(wire.EventLaunch), v.id); err == nil {
				t.Error("the program itself was launched")
			}
			w.JobEnded(v.job(wire.EventLaunch), wire.EventLaunch, errors.New("task launch-substitute: status 500"))
			v.refused()
			if len(w.launch.held) > 0 || strings.Count(w.recorded(), "opened") > 1 {
				t.Errorf("%d children, recorded %q", len(w.launch.held), w.recorded())
			}
		})
	}
}

// A child that cannot be started leaves both requests with an end.
func TestASubstituteThatCannotBeStarted(t *testing.T) {
	w, _ := redirecting(t)
	w.launch.prepareErr = errors.New("no room")
	v := w.elevate(w.submission(w.path("bin/tool")))
	v.answer(core.Allow)
	v.event(wire.EventLaunch)
	if _, err := w.substituted(v, wire.PolicyResponse{Decision: core.Allow}); err == nil || !strings.Contains(err.Error(), "no room") {
		t.Error(err)
	}
	v.refused()
	if got := w.recorded(); got != "opened evaluating allowed opened evaluating launching denied failed" {
		t.Errorf("recorded %q", got)
	}
}
