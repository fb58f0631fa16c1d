package launcher

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"kpm/core"
	"kpm/core/wire"
	"kpm/launcher/execution"
	"kpm/launcher/journal"
)

// fakeChildren decides about what commands start, or cannot.
type fakeChildren struct {
	unready, fails error

	mu      sync.Mutex
	entered []execution.Command
	started int
	left    int
}

func (f *fakeChildren) Ready() error { return f.unready }

func (f *fakeChildren) Enter(_ context.Context, _ core.ProcessID, _ string, c execution.Command) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.entered = append(f.entered, c)
	return f.fails
}

func (f *fakeChildren) Started(core.ProcessID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.started++
}

func (f *fakeChildren) Leave(core.ProcessID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.left++
}

// ruled answers ALLOW with a rule for children.
func (v *visit) ruled(rule string) {
	v.w.t.Helper()
	err := v.w.Answer(policy, wire.PolicyResponse{RequestID: v.id, SealDigest: v.asked.SealDigest, Decision: core.Allow, Children: rule, Policies: []core.PolicyRef{{ID: "p1", Name: "Tools"}}})
	if err != nil {
		v.w.t.Fatal(err)
	}
}

// What policy says a command may start is kept, or the command is not run.
func TestChildRules(t *testing.T) {
	off := errors.New("it is off")
	for _, tc := range []struct {
		name, rule string
		with       *fakeChildren // nil is none at all
		refused    string        // empty if it runs
		terms      string        // that are on record
	}{
		{"no rule, and nobody to keep one", "", nil, "", ""},
		{"no rule, switched off", "", &fakeChildren{unready: off, fails: execution.ErrOff}, "", ""},
		{"no rule, and it fails", "", &fakeChildren{fails: off}, "", ""},
		{"no rule", "", &fakeChildren{}, "", inherit},
		{"a rule", wire.ChildrenOwnRule, &fakeChildren{}, "", wire.ChildrenOwnRule},
		{"a rule, and nobody to keep it", wire.ChildrenDenied, nil, "(deny), and this machine cannot keep it: nothing stops programs", ""},
		{"a rule, switched off", wire.ChildrenOwnRule, &fakeChildren{unready: off}, "(own-rule), and this machine cannot keep it: it is off", ""},
		{"a rule that nobody knows", "sideways", &fakeChildren{}, "it is not known what it means", ""},
		{"a rule, and it fails", wire.ChildrenDenied, &fakeChildren{fails: off}, "which cannot be kept", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t, func(_ *world, cfg *Config) {
				if tc.with != nil {
					cfg.Children = tc.with
				}
			})
			v := w.elevate(w.submission("tool"))
			v.ruled(tc.rule)
			if tc.refused != "" {
				if state := v.state(); !state.Final() { // it is noticed at the launch
					v.event(wire.EventLaunch)
					if err := w.Launch(t.Context(), v.job(wire.EventLaunch), v.id); err == nil {
						t.Error("it was launched")
					}
				}
				if r := v.refused(); !strings.Contains(r.Message, tc.refused) {
					t.Errorf("%s", r.Message)
				}
				return
			}
			v.event(wire.EventLaunch)
			if err := w.Launch(t.Context(), v.job(wire.EventLaunch), v.id); err != nil {
				t.Fatal(err)
			}
			var terms string
			for _, r := range w.records() {
				if r.Type == journal.Launched && r.Children != nil {
					terms = r.Children.Rule
				}
			}
			if terms != tc.terms {
				t.Errorf("on record is %q, expected %q", terms, tc.terms)
			}
			if tc.terms == "" {
				return
			}
			c := tc.with.entered[0]
			if len(tc.with.entered) != 1 || tc.with.started != 1 || c.Rule != tc.rule || c.Request != v.id || c.Question.FilePath != v.asked.FilePath || c.RuleOnly || c.Runs {
				t.Errorf("%+v, started %d times", tc.with.entered, tc.with.started)
			}
		})
	}
}
