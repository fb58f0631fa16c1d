package launcher

import (
	"context"
	"errors"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"kpm/core"
	"kpm/core/door"
	"kpm/core/port"
	"kpm/core/wire"
	"kpm/launcher/control"
	"kpm/launcher/mfa"
	"kpm/launcher/request"
)

// coded has one right code and a memory of its own.
type coded struct {
	*mfa.Memory
	tries []mfa.Try
	mu    sync.Mutex
}

func (c *coded) Kind() string { return mfa.KindCodes }

func (c *coded) Ready(core.Account) error { return nil }

func (c *coded) Verify(ctx context.Context, person core.Account, request core.RequestID, with port.Conversation) (string, error) {
	answer, err := with.Ask(ctx, "enter your code: ", true)
	if err != nil {
		return "", err
	}
	return c.Check(ctx, mfa.Try{User: person.User, Request: request, Answer: string(answer)})
}

func (c *coded) Check(_ context.Context, t mfa.Try) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tries = append(c.tries, t)
	if t.Answer != "123456" {
		return "", &mfa.Wrong{Message: "the code is wrong"}
	}
	return "code", nil
}

// atTerminals puts callers at the terminal that where names, by pid.
func atTerminals(where map[int]core.Terminal) (*coded, func(*world, *Config)) {
	c := &coded{Memory: mfa.NewMemory(5 * time.Minute)}
	return c, func(_ *world, cfg *Config) {
		cfg.Controls, cfg.Memory = control.Bundled([]mfa.Factor{c}, c, nil, control.Justify{}), c
		cfg.TerminalOf = func(id core.ProcessID) (core.Terminal, error) {
			terminal, known := where[id.PID]
			if !known {
				return terminal, errors.New("no such process")
			}
			return terminal, nil
		}
	}
}

var here = core.Terminal{Device: 34816, Leader: core.ProcessID{PID: 50, Start: 1}}

// needsCode is a request of which policy id demands a code.
func needsCode(w *world, id string, k Submission, answers ...any) (*visit, error) {
	v := w.elevate(k)
	v.caller.answers = answers
	err := w.Answer(policy, wire.PolicyResponse{
		RequestID: v.id, SealDigest: v.asked.SealDigest, Decision: core.Pending, Controls: []core.Control{core.ControlMFA}, Policies: []core.PolicyRef{{ID: id}},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	v.event(wire.EventPolicyEvaluationPending)
	if err = w.Satisfy(context.Background(), v.job(controlJob), v.id, core.ControlMFA); err == nil {
		v.event(wire.EventLaunch)
	}
	return v, err
}

func TestACodeAllowsAndIsRemembered(t *testing.T) {
	c, configure := atTerminals(map[int]core.Terminal{client.PID: here})
	w := newWorld(t, configure)
	v, err := needsCode(w, "p", w.submission("tool"), "000000", "123456")
	if err != nil || v.state() != request.Allowed || len(v.caller.prompts) != 2 {
		t.Fatalf("%v, it is %s, asked %q", err, v.state(), v.caller.prompts)
	}
	if c.tries[0].Request != v.id || c.tries[0].User != "1000" {
		t.Errorf("%+v", c.tries[0])
	}
	for _, r := range w.records() {
		if strings.Contains(r.Message, "123456") {
			t.Errorf("the journal has the code: %+v", r)
		}
	}
	quiet := w.submission("tool", "x")
	quiet.NonInteractive = true
	if v, err := needsCode(w, "p", quiet); err != nil || v.state() != request.Allowed {
		t.Errorf("remembered: %v, it is %s", err, v.state())
	}
	quiet = w.submission("tool", "y")
	quiet.NonInteractive = true
	if v, err := needsCode(w, "another", quiet); err == nil || v.state() != request.Denied {
		t.Errorf("another policy: %v, it is %s", err, v.state())
	}
	anew := w.submission("tool", "z")
	anew.Anew = true
	if v, err := needsCode(w, "p", anew, "123456"); err != nil || len(v.caller.prompts) != 1 {
		t.Errorf("anew: %v, asked %q", err, v.caller.prompts)
	}
}

// Attack: a coding agent asks at the terminal where a person has entered a code
// lately. It is asked, the prompt says who asks, and what is entered then is
// remembered for nobody.
func TestACodeIsNotRememberedForACodingAgent(t *testing.T) {
	by := core.Origin{By: core.ByTerminal}
	c, configure := atTerminals(map[int]core.Terminal{client.PID: here})
	w := newWorld(t, configure, func(_ *world, cfg *Config) {
		cfg.Behind = func(core.ProcessID) (core.Origin, error) { return by, nil }
	})
	if v, err := needsCode(w, "p", w.submission("tool"), "123456"); err != nil || strings.Contains(v.caller.prompts[0], "asked by") {
		t.Fatalf("%v, asked %q", err, v.caller.prompts)
	}
	for _, by = range []core.Origin{{By: core.ByAgent, Agent: "/usr/bin/agent"}, {}} {
		v, err := needsCode(w, "p", w.submission("tool", string(by.By)), "123456")
		if err != nil || len(v.caller.prompts) != 1 || by.By == core.ByAgent && !strings.Contains(v.caller.prompts[0], "/usr/bin/agent") {
			t.Errorf("%+v: %v, asked %q", by, err, v.caller.prompts)
		}
	}
	if len(c.tries) != 3 {
		t.Errorf("%d codes were verified, want 3", len(c.tries))
	}
}

// Attack: a connection that several processes hold, one of which has a terminal; a
// process that cannot be looked at.
func TestWhoseTerminalIsNotKnownIsAsked(t *testing.T) {
	c, configure := atTerminals(map[int]core.Terminal{client.PID: here})
	w := newWorld(t, configure)
	c.Remember(mfa.Place{User: "1000", Terminal: here}, []core.PolicyRef{{ID: "p"}})
	shared, unknown := w.submission("tool"), w.submission("tool", "x")
	shared.Peer.Processes = append(shared.Peer.Processes, core.ProcessID{PID: 7, Start: 7})
	unknown.Peer.Processes = []core.ProcessID{{PID: 7, Start: 7}}
	for _, k := range []Submission{shared, unknown} {
		k.NonInteractive = true
		if place := w.place(&k); !place.Terminal.None() {
			t.Errorf("%v is at %+v", k.Peer.Processes, place)
		}
		if len(k.Peer.Processes) > 1 {
			continue // such a request is refused before anything is decided
		}
		if v, err := needsCode(w, "p", k); err == nil || v.state() != request.Denied {
			t.Errorf("%v: %v, it is %s", k.Peer.Processes, err, v.state())
		}
	}
}

// What a prompt shows cannot be mistaken for another request, nor hide what would run.
func TestWhatAPromptShows(t *testing.T) {
	w := newWorld(t)
	for name, tc := range map[string]struct {
		args []string
		want string // behind the code
	}{
		"plain":        {[]string{"-x", "a b"}, `tool -x 'a b')`},
		"a forged end": {[]string{`): `, "x\n\x1b[2J\u202e"}, `tool '): ' 'x\x0A\x1B[2J\xE2\x80\xAE')`},
		"not text":     {[]string{"caf\xe9"}, `tool 'caf\xE9')`},
		"hidden behind others": {append(strings.Split(strings.Repeat("x ", 300), " "), "--force"),
			`tool ` + strings.Repeat("x ", 197) + `x ... and 215 more bytes that are not shown)`},
	} {
		v := w.elevate(w.submission("tool", tc.args...))
		e, err := w.find(v.id)
		if err != nil {
			t.Fatal(err)
		}
		want := w.path("bin/tool") + " as root (request " + string(v.id[:6]) + ": " + tc.want
		if got := w.what(e); got != want || got != wire.Printable(got) {
			t.Errorf("%s:\n got %s\nwant %s", name, got, want)
		}
		v.answer(core.Deny)
	}
}

func TestARefusalHasTheRequestsCode(t *testing.T) {
	w := newWorld(t)
	v := w.elevate(w.submission("tool"))
	v.answer(core.Deny)
	r := v.refused()
	if !regexp.MustCompile(` \(request [A-Z2-7]{6}\)$`).MatchString(r.Message) || !strings.Contains(r.Message, v.id.Code()) {
		t.Errorf("%+v", r)
	}
}

// remember is ada's keepersudo -v, -k or -K.
func remember(do door.MemoryAction, quiet bool) Submission {
	k := Submission{Memory: &door.Memory{Do: do, NonInteractive: quiet}}
	k.Peer = core.Peer{User: "1000", Processes: []core.ProcessID{client}, SameIdentity: true}
	return k
}

func TestVerifyingInAdvance(t *testing.T) {
	c, configure := atTerminals(map[int]core.Terminal{client.PID: here})
	w := newWorld(t, configure)
	list := core.Listing{Permissions: []core.Permission{
		{PolicyRef: core.PolicyRef{ID: "m"}, Grants: true, Controls: []core.Control{core.ControlMFA}},
		{PolicyRef: core.PolicyRef{ID: "n"}, Controls: []core.Control{core.ControlJustify, core.ControlMFA}},
		{PolicyRef: core.PolicyRef{ID: "j"}, Grants: true, Controls: []core.Control{core.ControlJustify}},
	}}
	ask := func(k Submission, answers ...any) (Result, *fakeCaller) {
		t.Helper()
		caller := &fakeCaller{answers: answers}
		done := make(chan Result, 1)
		go func() { done <- w.Elevate(t.Context(), k, caller, nil) }()
		for {
			select {
			case q := <-w.bus.asks:
				answered(t, w, policy, q, wire.PolicyResponse{Decision: core.Deny, Listing: &list})
			case r := <-done:
				return r, caller
			}
		}
	}
	place, asking := mfa.Place{User: "1000", Terminal: here}, []core.PolicyRef{{ID: "m"}, {ID: "n"}}
	if r, caller := ask(remember(door.Validate, true)); r.Refused == nil || r.Refused.Code != door.CodeDenied || len(caller.prompts) != 0 {
		t.Errorf("-nv: %+v, asked %q", r.Refused, caller.prompts)
	}
	if r, _ := ask(remember(door.Validate, false), "1", "2", "3"); r.Refused == nil || !strings.Contains(r.Refused.Message, "the code is wrong") {
		t.Errorf("-v with wrong codes: %+v", r)
	}
	if r, _ := ask(remember(door.Validate, false), "123456"); !r.Done || !c.Remembered(place, asking) || c.Remembered(place, []core.PolicyRef{{ID: "j"}}) {
		t.Errorf("-v: %+v", r)
	}
	if r, _ := ask(remember(door.Validate, true)); !r.Done {
		t.Errorf("-nv, remembered: %+v", r)
	}
	if r, caller := ask(remember(door.Validate, false), "123456"); !r.Done || len(caller.prompts) != 1 {
		t.Errorf("-v asks now: %+v, asked %q", r, caller.prompts)
	}
	if r, _ := ask(remember(door.Forget, false)); !r.Done || c.Remembered(place, asking) {
		t.Errorf("-k: %+v", r)
	}
	elsewhere := mfa.Place{User: "1000", Terminal: core.Terminal{Device: 1, Leader: core.ProcessID{PID: 1, Start: 1}}}
	c.Remember(elsewhere, asking)
	if r, _ := ask(remember(door.Forget, false)); !r.Done || !c.Remembered(elsewhere, asking) {
		t.Errorf("-k: %+v", r)
	}
	if r, _ := ask(remember(door.ForgetAll, false)); !r.Done || c.Remembered(elsewhere, asking) {
		t.Errorf("-K: %+v", r)
	}
	list.Permissions = list.Permissions[2:]
	if r, _ := ask(remember(door.Validate, false)); !strings.Contains(r.Listing, "No policy asks you") {
		t.Errorf("-v without such a policy: %+v", r)
	}
	if w.recorded() != "" {
		t.Errorf("it is in the journal: %s", w.recorded())
	}
}
