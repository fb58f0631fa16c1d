package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
	"kpm/core/wire"
)

func event(name string, context map[string]any) wire.Event {
	return wire.Event{Name: name, Context: context}
}

func TestTriggerStartsEveryJobThatNamesTheEvent(t *testing.T) {
	h := newHarness(t, map[string]string{
		"low":      jobJSON("low", stepJSON("a", "echo"), onEvent("E"), `"priority": 1`),
		"high":     jobJSON("high", stepJSON("a", "echo"), onEvent("E"), `"priority": 9`),
		"other":    jobJSON("other", stepJSON("a", "echo"), onEvent("F")),
		"off":      strings.Replace(jobJSON("off", stepJSON("a", "echo"), onEvent("E")), `"enabled": true`, `"enabled": false`, 1),
		"broken":   `{"id": "broken"`,
		"startup":  jobJSON("startup", stepJSON("a", "echo"), `"events": [{"eventType": "Startup"}]`),
		"untaught": jobJSON("untaught", stepJSON("a", "echo")),
	})
	if got := h.held().byEvent["E"]; len(got) != 2 || got[0].id != "high" || got[1].id != "low" {
		t.Errorf("E starts %v, want high before low", got)
	}
	h.Trigger(event("E", nil))
	got := []string{h.end(0).run.Name, h.end(1).run.Name}
	slices.Sort(got)
	if want := []string{"high", "low"}; !slices.Equal(got, want) {
		t.Errorf("E started %v", got)
	}
	h.Trigger(event("Startup", nil))
	if e := h.end(2); e.run.Name != "startup" || e.event != "Startup" || e.err != nil {
		t.Errorf("Startup: %+v", e)
	}
	if len(h.unhandled) != 0 {
		t.Errorf("unhandled: %v", h.unhandled)
	}
}

// Goroutines begin in no order of their own: the last that is made is often the first.
func TestOfOneEventsRunsTheHigherPriorityBeginsFirst(t *testing.T) {
	files := map[string]string{"skipped": jobJSON("skipped", stepJSON("a", "echo"), onEvent("E"), `"priority": 8`, `"condition": "1 == 2"`)}
	for _, priority := range []int{3, 9, 1, 10, 5, 7} {
		id := fmt.Sprintf("p-%d", priority)
		files[id] = jobJSON(id, stepJSON("a", "echo"), onEvent("E"), fmt.Sprintf(`"priority": %d`, priority))
	}
	h := newHarness(t, files)
	for round := range 50 {
		h.Trigger(event("E", nil))
		h.end(6*round + 5)
		h.skipped(round + 1)
	}
	runs := map[string][]time.Time{}
	for _, run := range h.history.all() {
		if run.JobID != "skipped" {
			runs[run.JobID] = append(runs[run.JobID], run.StartedAt)
		}
	}
	for _, started := range runs {
		slices.SortFunc(started, time.Time.Compare)
	}
	order := []string{"p-10", "p-9", "p-7", "p-5", "p-3", "p-1"}
	for round := range 50 {
		for i, id := range order[1:] {
			if before := order[i]; runs[id][round].Before(runs[before][round]) {
				t.Fatalf("event %d began %s before %s", round, id, before)
			}
		}
	}
}

func TestAnEventThatNoEnabledJobNamesIsAFact(t *testing.T) {
	h := newHarness(t, map[string]string{
		"guarded": jobJSON("guarded", stepJSON("a", "echo"), onPending, `"condition": "1 == 2"`),
	})
	h.Trigger(event("PolicyEvaluationPending", map[string]any{"RequestId": "R1"}))
	h.skipped(1) // a job whose condition is not met does not handle it
	h.Trigger(event("LaunchPrivilegeElevation", map[string]any{"RequestId": core.RequestID("R2")}))
	h.Trigger(event("Custom", map[string]any{"RequestId": "R3"}))
	want := []string{"PolicyEvaluationPending/R1", "LaunchPrivilegeElevation/R2", "Custom/"}
	if !slices.Equal(h.unhandled, want) {
		t.Errorf("got %v, want %v", h.unhandled, want)
	}
}

func TestARunActsForTheRequestOfItsEvent(t *testing.T) {
	h := newHarness(t, map[string]string{"control": jobJSON("control", stepJSON("a", "fail"), onPending)})
	h.Trigger(event("PolicyEvaluationPending", map[string]any{"RequestId": "R1"}))
	e := h.end(0)
	if e.run.Kind != core.JobRun || e.run.Name != "control" || e.run.Request != "R1" || len(e.run.Run) != 26 || e.run.Tier() != core.TierPlugin {
		t.Errorf("principal %+v", e.run)
	}
	want := wire.JobCompleted{JobID: "control", RunID: e.run.Run, RequestID: "R1", Event: "PolicyEvaluationPending", Error: "task a: as asked"}
	if got := h.completed[0]; got != want {
		t.Errorf("completed %+v, want %+v", got, want)
	}
}

// Attack: a plugin that may publish some custom event names somebody's request
// in its context, to get a run that may launch it.
func TestACustomEventGivesNoRightOverARequest(t *testing.T) {
	h := newHarness(t, map[string]string{"j": jobJSON("j", stepJSON("a", "echo"), onEvent("E"))})
	h.Trigger(event("E", map[string]any{"RequestId": "R1", "requestid": "R1"}))
	if e := h.end(0); e.run.Request != "" {
		t.Errorf("the run acts for request %q", e.run.Request)
	}
}

func TestControlAndLaunchJobsStartFromTheirOwnEventsOnly(t *testing.T) {
	h := newHarness(t, map[string]string{
		"control": jobJSON("control", stepJSON("a", "echo"), onPending, `"allowPluginTrigger": true`),
		"launch":  jobJSON("launch", stepJSON("a", "echo"), onLaunch),
	})
	for _, id := range []string{"control", "launch", "LAUNCH"} {
		if _, err := h.Run(context.Background(), id, map[string]any{"RequestId": "R1"}); !errors.Is(err, ErrOwnEvents) {
			t.Errorf("%s: got %v", id, err)
		}
	}
}

func TestRun(t *testing.T) {
	h := newHarness(t, map[string]string{
		"j": jobJSON("j", `{"id": "a", "command": "echo", "arguments": "{Scope} {Depth}"}`,
			`"parameters": [{"name": "Scope", "type": "string", "required": true}, {"name": "Depth", "type": "int", "default": 3}]`),
		"off":    strings.Replace(jobJSON("off", stepJSON("a", "echo")), `"enabled": true`, `"enabled": false`, 1),
		"broken": `{"id": "broken"`,
	})
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	for _, tc := range []struct {
		name   string
		ctx    context.Context
		id     string
		params map[string]any
		want   error
		text   string
	}{
		{"as it should", context.Background(), "j", map[string]any{"Scope": "all"}, nil, ""},
		{"in another letter case", context.Background(), "J", map[string]any{"scope": "all", "DEPTH": 4.0}, nil, ""},
		{"unknown", context.Background(), "nobody", nil, ErrUnknown, "job nobody: no such job"},
		{"disabled", context.Background(), "off", nil, ErrDisabled, "its file says enabled: false"},
		{"broken", context.Background(), "broken", nil, ErrDisabled, "the file is not JSON"},
		{"without what it requires", context.Background(), "j", nil, ErrParameters, "Scope is missing"},
		{"with another type", context.Background(), "j", map[string]any{"Scope": "all", "Depth": 1.5}, ErrParameters, "Depth is not of type int"},
		{"by a caller who is gone", cancelled, "j", map[string]any{"Scope": "all"}, context.Canceled, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			run, err := h.Run(tc.ctx, tc.id, tc.params)
			if !errors.Is(err, tc.want) || tc.want == nil && (err != nil || len(run) != 26) {
				t.Errorf("got %q, %v; want %v", run, err, tc.want)
			}
			if tc.want != nil && !strings.Contains(err.Error(), tc.text) {
				t.Errorf("got %v, want ... %s", err, tc.text)
			}
		})
	}
}

// The API answers errors of Run by their kind.
func TestErrorsOfRunHaveTheirKind(t *testing.T) {
	for err, want := range map[error]core.ErrorKind{
		ErrUnknown: core.NotFound, ErrParameters: core.Invalid, ErrOwnEvents: core.NotPermitted,
		ErrDisabled: core.Conflict, ErrBusy: core.TooMany, ErrClosed: core.Conflict,
	} {
		if got := core.KindOf(fmt.Errorf("job j: %w", err)); got != want {
			t.Errorf("%v is %s, want %s", err, got, want)
		}
	}
}

func TestAnEventWithoutWhatTheJobRequiresEndsTheRun(t *testing.T) {
	h := newHarness(t, map[string]string{"j": jobJSON("j", stepJSON("a", "echo"), onLaunch, `"parameters": [{"name": "FilePath", "type": "string", "required": true}]`)})
	h.Trigger(event("LaunchPrivilegeElevation", map[string]any{"RequestId": "R1"}))
	if e := h.end(0); !errors.Is(e.err, ErrParameters) || e.run.Request != "R1" {
		t.Errorf("got %+v", e)
	}
}

func TestParametersTakeGosOwnTypes(t *testing.T) {
	list := parameter{name: "ControlList", kind: "array"}
	id := parameter{name: "RequestId", kind: "string"}
	for _, tc := range []struct {
		p    parameter
		v    any
		want bool
	}{
		{list, []core.Control{core.ControlJustify}, true},
		{list, []string{"JUSTIFY"}, true},
		{list, "JUSTIFY", false},
		{list, nil, false},
		{id, core.RequestID("R"), true},
		{id, 1.0, false},
		{id, nil, false},
	} {
		if got := tc.p.takes(tc.v); got != tc.want {
			t.Errorf("%s takes %#v: %v", tc.p.kind, tc.v, got)
		}
	}
}

func TestListSaysWhatEachJobIs(t *testing.T) {
	h := newHarness(t, map[string]string{
		"b-control":    jobJSON("b-control", stepJSON("a", "echo"), onPending, `"description": "d"`, `"allowPluginTrigger": true`),
		"a-timed":      jobJSON("a-timed", stepJSON("a", "echo"), `"schedule": {"intervalMinutes": 5}`),
		"c-broken":     `{"id": "c-broken",}`,
		"d-off":        strings.Replace(jobJSON("d-off", stepJSON("a", "echo")), `"enabled": true`, `"enabled": false`, 1),
		"KeeperPolicy": jobJSON("KeeperPolicy", stepJSON("a", "echo")),
	})
	var got []string
	for _, i := range h.List() {
		var events []string
		if j := h.held().jobs[strings.ToLower(i.ID)]; j != nil {
			events = j.events
		}
		got = append(got, fmt.Sprintf("%s %q %v %v %v %v %s", i.ID, i.Name, i.Enabled, i.AllowPluginTrigger, i.OwnEventsOnly, events, i.Detail))
	}
	want := []string{
		`KeeperPolicy "KeeperPolicy" false false false [] ` + h.cfg.Layout.Jobs() + `/KeeperPolicy.json:1: id is "KeeperPolicy", expected a name that no plugin has`,
		`a-timed "a-timed job" true true false [] `,
		`b-control "b-control job" true true true [PolicyEvaluationPending] `,
		`c-broken "c-broken" false false false [] ` + h.cfg.Layout.Jobs() + `/c-broken.json:1: the file is not JSON (invalid character '}' looking for beginning of object key string), expected a JSON object; remove the comma before the "}"`,
		`d-off "d-off job" false true false [] its file says enabled: false`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestTokenAndAllowListBelongToTheRunUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, map[string]string{
			"j": jobJSON("j", stepJSON("a", "wait"), onLaunch, `"allowedRequests": ["POST /api/Jobs/other/run"]`, `"mqttTopics": {"allowedPublications": ["KeeperLogger"]}`),
		})
		h.Trigger(event("LaunchPrivilegeElevation", map[string]any{"RequestId": "R1"}))
		synctest.Wait()
		var p core.Principal
		for _, r := range h.runs {
			p = r.principal
		}
		if len(h.Token(p)) != 26 {
			t.Errorf("token %q", h.Token(p))
		}
		if !h.Allowed(p, "POST", "/api/Jobs/other/run") || h.Allowed(p, "POST", "/api/Jobs/other") || h.Allowed(p, "GET", "/api/Jobs/other/run") {
			t.Error("the allow list is not what the file says")
		}
		for name, change := range map[string]func(*core.Principal){
			"another request": func(p *core.Principal) { p.Request = "R2" },
			"another job":     func(p *core.Principal) { p.Name = "k" },
			"another run":     func(p *core.Principal) { p.Run = "x" },
			"a plugin":        func(p *core.Principal) { p.Kind = core.Plugin },
			"nobody":          func(p *core.Principal) { *p = core.Principal{} },
		} {
			other := p
			change(&other)
			if h.Token(other) != "" || h.Allowed(other, "POST", "/api/Jobs/other/run") {
				t.Errorf("%s has the run's rights", name)
			}
		}
		if publish, subscribe := h.Topics("j"); !slices.Equal(publish, []string{"KeeperLogger"}) || len(subscribe) != 0 {
			t.Errorf("topics %v, %v", publish, subscribe)
		}
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if h.Token(p) != "" || h.Allowed(p, "POST", "/api/Jobs/other/run") {
			t.Error("a run that ended has its rights still")
		}
	})
}

func TestRunsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, map[string]string{"j": jobJSON("j", stepJSON("a", "wait"), onPending)})
		for range maxActing {
			h.Trigger(event("PolicyEvaluationPending", map[string]any{"RequestId": "R1"}))
		}
		if len(h.unhandled) != 0 {
			t.Fatalf("refused %d runs below the limit", len(h.unhandled))
		}
		h.Trigger(event("PolicyEvaluationPending", map[string]any{"RequestId": "R2"}))
		if want := []string{"PolicyEvaluationPending/R2"}; !slices.Equal(h.unhandled, want) {
			t.Errorf("got %v, want %v", h.unhandled, want)
		}
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if got := len(h.ended); got != maxActing {
			t.Errorf("%d of %d runs ended", got, maxActing)
		}
	})
}

func TestCloseEndsRunsAndStartsNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, map[string]string{"j": jobJSON("j", stepJSON("a", "wait", `"ContinueOnFailure": true`)+", "+stepJSON("b", "echo"), onLaunch), "k": jobJSON("k", stepJSON("a", "echo"))})
		h.Trigger(event("LaunchPrivilegeElevation", map[string]any{"RequestId": "R1"}))
		if err := h.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		if e := h.end(0); !errors.Is(e.err, ErrClosed) {
			t.Errorf("ended with %v", e.err)
		}
		h.Trigger(event("LaunchPrivilegeElevation", map[string]any{"RequestId": "R2"}))
		if want := []string{"LaunchPrivilegeElevation/R2"}; !slices.Equal(h.unhandled, want) {
			t.Errorf("got %v, want %v", h.unhandled, want)
		}
		if _, err := h.Run(context.Background(), "k", nil); !errors.Is(err, ErrClosed) {
			t.Errorf("got %v", err)
		}
	})
}

func TestAJobFileThatOthersCanChangeIsRefused(t *testing.T) {
	h := newHarness(t, map[string]string{"j": jobJSON("j", stepJSON("a", "echo"), onLaunch)})
	h.cfg.Read = trustNobody
	h.reload()
	h.Trigger(event("LaunchPrivilegeElevation", map[string]any{"RequestId": "R1"}))
	if want := []string{"LaunchPrivilegeElevation/R1"}; !slices.Equal(h.unhandled, want) {
		t.Errorf("got %v, want %v", h.unhandled, want)
	}
}
