package launcher

import (
	"context"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
	"kpm/core/span"
	"kpm/core/statefile"
	"kpm/core/wire"
	"kpm/launcher/control"
	"kpm/launcher/grant"
	"kpm/launcher/journal"
	"kpm/launcher/request"
)

// bootClock counts from when it was made.
type bootClock struct{ since time.Time }

func (c bootClock) Now() (string, time.Duration, error) { return "boot", time.Since(c.since), nil }

// atTerminal is ada at a terminal of hers.
var atTerminal = core.Origin{By: core.ByTerminal, Terminal: "pts/1", Leader: client}

// remembering is a world with grants, in which who is behind a request is what
// origin says.
func rememberingWorld(t *testing.T, origin *core.Origin) *world {
	return newWorld(t, func(w *world, cfg *Config) {
		cfg.Behind = func(core.ProcessID) (core.Origin, error) { return *origin, nil }
		cfg.Grants = grant.Open(grant.Config{
			File: statefile.File{Path: w.path("State/grants.json"), Read: os.ReadFile, WriteAtomic: w.files.WriteAtomic}, Clock: bootClock{time.Now()},
			Alive: func(core.ProcessID) bool { return true }, Record: RecordGrant(w.journal), Log: cfg.Log,
		})
	})
}

// demanding answers that the policy "p1" asks for a reason, under terms.
func (v *visit) demanding(terms *core.GrantTerms) {
	v.w.t.Helper()
	ref := core.PolicyRef{ID: "p1", Name: "Tools"}
	err := v.w.Answer(policy, wire.PolicyResponse{RequestID: v.id, SealDigest: v.asked.SealDigest, Decision: core.Pending, Controls: []core.Control{core.ControlJustify},
		Policies: []core.PolicyRef{ref}, Demands: []core.Demand{{PolicyRef: ref, Controls: []core.Control{core.ControlJustify}, Grant: terms}}})
	if err != nil {
		v.w.t.Fatal(err)
	}
}

// launched brings an allowed elevation to the end of its command.
func (v *visit) launched() {
	v.w.t.Helper()
	v.event(wire.EventLaunch)
	if err := v.w.Launch(context.Background(), v.job(wire.EventLaunch), v.id); err != nil {
		v.w.t.Fatal(err)
	}
	<-v.caller.started
	v.w.launch.last().process.exit(core.ExitStatus{})
	<-v.result
}

// reasoned is a command for which a reason was given.
func reasoned(w *world, length time.Duration, terms *core.GrantTerms) *visit {
	k := w.submission("tool")
	k.For = length
	v := w.elevate(k)
	v.caller.answers = []any{"mend the disk"}
	v.demanding(terms)
	v.event(wire.EventPolicyEvaluationPending)
	if err := w.Satisfy(context.Background(), v.job(controlJob), v.id, core.ControlJustify); err != nil {
		w.t.Fatal(err)
	}
	v.launched()
	return v
}

func TestWhatWasGivenForATimeIsNotAskedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		origin := atTerminal
		w := rememberingWorld(t, &origin)
		terms := &core.GrantTerms{For: span.Span(30 * time.Minute)}
		first := reasoned(w, 2*time.Hour, terms)
		if want := []string{`It is remembered for 30m: policy "Tools" allows no more.`}; !slices.Equal(first.caller.told, want) {
			t.Errorf("told %q", first.caller.told)
		}
		again := w.elevate(w.submission("tool"))
		again.demanding(terms)
		again.launched()
		if len(again.caller.prompts) != 0 {
			t.Errorf("asked %q", again.caller.prompts)
		}
		var types []string
		for _, r := range w.records() {
			if r.Request == again.id {
				types = append(types, string(r.Type))
			}
			if r.Type == journal.Granted && (r.Grant == nil || r.Grant.Seconds != 1800 || r.User != "ada" || r.Request != first.id || r.Origin.Terminal != "pts/1" || r.Policies[0].ID != "p1") {
				t.Errorf("granted: %+v", r)
			}
			if r.Request == again.id && r.Type == journal.Pending && len(r.Grants) != 1 {
				t.Errorf("pending: %+v", r)
			}
		}
		if got := strings.Join(types, " "); got != "opened evaluating pending allowed launching launched ended" {
			t.Errorf("recorded: %s", got)
		}
		// A DENY holds whatever was given.
		denied := w.elevate(w.submission("tool"))
		denied.answer(core.Deny)
		if r := denied.refused(); r.Code != "denied" {
			t.Errorf("%+v", r)
		}
		// Neither for another command, nor by an agent in the terminal, nor when the
		// policy lets it no more, nor when it is over.
		for name, change := range map[string]func() (Submission, *core.GrantTerms){
			"another command": func() (Submission, *core.GrantTerms) { return w.submission("tool", "-x"), terms },
			"an agent": func() (Submission, *core.GrantTerms) {
				origin.By, origin.Agent = core.ByAgent, "claude"
				return w.submission("tool"), terms
			},
			"no terms": func() (Submission, *core.GrantTerms) { return w.submission("tool"), nil },
			"too late": func() (Submission, *core.GrantTerms) {
				time.Sleep(30 * time.Minute)
				return w.submission("tool"), terms
			},
		} {
			k, terms := change()
			v := w.elevate(k)
			if name == "an agent" && (v.asked.RequestedBy != core.ByAgent || v.asked.Agent != "claude") {
				t.Errorf("policy was asked %+v", v.asked)
			}
			v.demanding(terms)
			if e := v.event(wire.EventPolicyEvaluationPending); e.Context["RequestedBy"] != string(origin.By) {
				t.Errorf("%s: the event says %v", name, e.Context["RequestedBy"])
			}
			if v.state() != request.Pending {
				t.Errorf("%s: it is %s", name, v.state())
			}
			origin = atTerminal
			v.leave()
			v.refused()
			synctest.Wait()
		}
	})
}

// Who does not ask for it is given nothing, unless the policy does so by itself.
func TestWithoutForNothingIsRemembered(t *testing.T) {
	for _, automatic := range []bool{false, true} {
		origin := atTerminal
		w := rememberingWorld(t, &origin)
		terms := &core.GrantTerms{For: span.Span(30 * time.Minute), Automatic: automatic}
		reasoned(w, 0, terms)
		if got := len(w.grantsOf("1000")) == 1; got != automatic {
			t.Errorf("automatic %v: given %v", automatic, got)
		}
	}
}

// Whoever asks for it is told why it is not remembered.
func TestWhyNothingIsRemembered(t *testing.T) {
	told := func(origin core.Origin, terms *core.GrantTerms, allow bool) []string {
		w := rememberingWorld(t, &origin)
		k := w.submission("tool")
		k.For = time.Hour
		v := w.elevate(k)
		if allow {
			v.answer(core.Allow)
			v.launched()
		} else {
			v.demanding(terms)
			v.event(wire.EventPolicyEvaluationPending)
			v.leave()
			v.refused()
		}
		if n := len(w.grantsOf("")); n != 0 {
			t.Errorf("%d grants", n)
		}
		return v.caller.told
	}
	terms := &core.GrantTerms{For: span.Span(30 * time.Minute)}
	agent := atTerminal
	agent.By = core.ByAgent
	for want, got := range map[string][]string{
		"Policy asks for nothing here, so there is nothing to remember.":      told(atTerminal, nil, true),
		`Policy "Tools" asks each time: that cannot be remembered.`:           told(atTerminal, nil, false),
		`Policy "Tools" lets nothing be remembered for coding agents.`:        told(agent, terms, false),
		"It is not known from where this is asked, so nothing is remembered.": told(core.Origin{}, terms, false),
	} {
		if !slices.Equal(got, []string{want}) {
			t.Errorf("got %q, expected %q", got, want)
		}
	}
}

// What only watches is in the journal, before the decision, and changes nothing.
func TestMonitoringIsRecordedAndTold(t *testing.T) {
	m := &core.Monitored{
		Policies: []core.PolicyRef{{ID: "m", Name: "Soon"}}, Outcome: core.Pending, Controls: []core.Control{core.ControlMFA}, FilterJobs: []string{"office"},
		Notices: []core.Notice{{Text: "This will need a second factor soon."}},
	}
	w := newWorld(t)
	v := w.elevate(w.submission("tool"))
	if err := w.Answer(policy, wire.PolicyResponse{RequestID: v.id, SealDigest: v.asked.SealDigest, Decision: core.Allow, Monitored: m}); err != nil {
		t.Fatal(err)
	}
	v.launched()
	if got := w.recorded(); got != "opened evaluating monitored allowed launching launched ended" {
		t.Errorf("recorded: %s", got)
	}
	r := w.records()[2]
	if r.Outcome != core.Pending || r.Policies[0].ID != "m" || r.Controls[0] != core.ControlMFA || r.FilterJobs[0] != "office" || r.By != "KeeperPolicy" || r.Message != "This will need a second factor soon." {
		t.Errorf("%+v", r)
	}
	if !slices.Equal(v.caller.told, []string{"This will need a second factor soon."}) || len(v.caller.prompts) != 0 {
		t.Errorf("told %q, asked %q", v.caller.told, v.caller.prompts)
	}
}

// A notice that is to be acknowledged is asked about where somebody can answer, and
// the command runs whether they do or not.
func TestNoticesAreAcknowledged(t *testing.T) {
	for name, tc := range map[string]struct {
		terminal, quiet bool
		answer          any
		asked, recorded bool
	}{
		"they do":           {true, false, "", true, true},
		"they do not":       {true, false, core.ErrCancelled, true, false},
		"nobody is there":   {true, false, nil, true, false},
		"there is no place": {false, false, "", false, false},
		"they said -n":      {true, true, "", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				w := newWorld(t)
				k := w.submission("tool")
				k.Terminal, k.NonInteractive = tc.terminal, tc.quiet
				v := w.elevate(k)
				if tc.answer != nil {
					v.caller.answers = []any{tc.answer}
				}
				m := &core.Monitored{Policies: []core.PolicyRef{{ID: "m"}}, Outcome: core.Deny, Notices: []core.Notice{{Text: "Soon.", Acknowledge: true}}}
				if err := w.Answer(policy, wire.PolicyResponse{RequestID: v.id, SealDigest: v.asked.SealDigest, Decision: core.Allow, Monitored: m}); err != nil {
					t.Fatal(err)
				}
				v.launched()
				if asked := len(v.caller.prompts) == 1; asked != tc.asked || asked == (len(v.caller.told) == 1) {
					t.Errorf("asked %q, told %q", v.caller.prompts, v.caller.told)
				}
				if got := strings.Contains(w.recorded(), "acknowledged"); got != tc.recorded {
					t.Errorf("recorded: %s", w.recorded())
				}
			})
		})
	}
}

// A decision that waits for a filter job is waited for, if KeeperPolicy says so.
func TestEvaluatingLastsWhileAFilterRuns(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := newWorld(t)
		v := w.elevate(w.submission("tool"))
		w.FilterRuns(core.Principal{Kind: core.Plugin, Name: "KeeperLogger"}, v.id)
		w.FilterRuns(policy, "unknown")
		w.FilterRuns(policy, v.id)
		time.Sleep(34 * time.Second)
		v.answer(core.Allow)
		v.launched()

		late := w.elevate(w.submission("tool"))
		w.FilterRuns(core.Principal{Kind: core.Plugin, Name: "KeeperLogger"}, late.id)
		time.Sleep(6 * time.Second)
		if r := late.refused(); !strings.Contains(r.Message, "no decision came in time") {
			t.Errorf("%+v", r)
		}
	})
}

// A person at their terminal knows that they have asked; of anybody else they are
// told.
func TestPromptsSayWhoIsBehind(t *testing.T) {
	for origin, want := range map[core.Origin]string{
		atTerminal: "Reason for running ",
		{By: core.ByAgent, Agent: "claude", Terminal: "pts/1"}: ", which is asked by the coding agent claude in terminal pts/1: ",
		{By: core.ByDesktop}: ", which is asked by the desktop: ",
	} {
		got := control.Question{Origin: origin}.Behind()
		if origin.By == core.ByTerminal && got != "" || origin.By != core.ByTerminal && got+": " != want {
			t.Errorf("%+v: %q", origin, got)
		}
	}
}
