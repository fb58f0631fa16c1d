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
	"kpm/jobs/task"
)

// stepJSON is a task that is a built-in: "echo" succeeds, "fail" fails.
func stepJSON(id, command string, fields ...string) string {
	extra := ""
	for _, f := range fields {
		extra += ", " + f
	}
	return fmt.Sprintf(`{"id": %q, "command": %q, "parameters": {"Task": %q}%s}`, id, command, id, extra)
}

// traced makes every built-in note the tasks that ran.
func traced(h *harness) *[]string {
	var ran []string
	commands := task.Commands{}
	for name, command := range h.commands {
		commands[name] = func(ctx context.Context, run core.Principal, params map[string]any) (map[string]any, error) {
			id, _ := params["Task"].(string)
			ran = append(ran, id)
			return command(ctx, run, params)
		}
	}
	h.commands = commands
	h.reload()
	return &ran
}

func TestRoutes(t *testing.T) {
	for _, tc := range []struct {
		name  string
		tasks []string
		ran   []string
		want  string // part of the run's error; empty for success
	}{
		{"in order", []string{stepJSON("a", "echo"), stepJSON("b", "echo")}, []string{"a", "b"}, ""},
		{"a failure stops", []string{stepJSON("a", "fail"), stepJSON("b", "echo")}, []string{"a"}, "task a: as asked"},
		{"continueOnFailure", []string{stepJSON("a", "fail", `"ContinueOnFailure": true`), stepJSON("b", "echo")}, []string{"a", "b"}, ""},
		{"OnFailure", []string{stepJSON("a", "fail", `"OnFailure": "c"`), stepJSON("b", "echo"), stepJSON("c", "echo")}, []string{"a", "c"}, ""},
		{"OnFailure before continueOnFailure", []string{stepJSON("a", "fail", `"OnFailure": "c", "continueOnFailure": true`), stepJSON("b", "echo"), stepJSON("c", "echo")}, []string{"a", "c"}, ""},
		{"OnFailure stop", []string{stepJSON("a", "fail", `"OnFailure": "stop"`), stepJSON("b", "echo")}, []string{"a"}, "task a: as asked"},
		{"OnSuccess", []string{stepJSON("a", "echo", `"OnSuccess": "c"`), stepJSON("b", "echo"), stepJSON("c", "echo")}, []string{"a", "c"}, ""},
		{"OnSuccess stop", []string{stepJSON("a", "echo", `"OnSuccess": "STOP"`), stepJSON("b", "echo")}, []string{"a"}, ""},
		{"backwards once", []string{stepJSON("a", "fail", `"OnFailure": "c"`), stepJSON("b", "echo", `"OnSuccess": "stop"`), stepJSON("c", "echo", `"OnSuccess": "b"`)}, []string{"a", "c", "b"}, ""},
		{"OnFailure fail", []string{stepJSON("a", "fail", `"OnFailure": "fail"`), stepJSON("b", "echo")}, []string{"a"}, "task a: as asked"},
		{"OnSuccess fail", []string{stepJSON("a", "echo", `"OnSuccess": "fail"`), stepJSON("b", "echo")}, []string{"a"}, "task a leads to fail"},
		{"fail after a failure was dealt with", []string{stepJSON("a", "fail", `"OnFailure": "c"`), stepJSON("b", "echo"), stepJSON("c", "echo", `"OnSuccess": "FAIL"`)}, []string{"a", "c"}, "task a: as asked"},
		{"a task that is called fail", []string{stepJSON("a", "echo", `"OnSuccess": "fail"`), stepJSON("b", "echo"), stepJSON("fail", "echo")}, []string{"a", "fail"}, ""},
		{"a failure in the failure route", []string{stepJSON("a", "fail", `"OnFailure": "b"`), stepJSON("b", "fail")}, []string{"a", "b"}, "task b: as asked"},
		{"skipped goes to the next in the list", []string{
			stepJSON("a", "echo", `"SkipWhenPluginSettingFalse": "P:off", "OnSuccess": "c", "OnFailure": "c"`), stepJSON("b", "echo"), stepJSON("c", "echo")}, []string{"b", "c"}, ""},
		{"not set is skipped", []string{stepJSON("a", "echo", `"SkipWhenPluginSettingFalse": "P:absent"`), stepJSON("b", "echo")}, []string{"b"}, ""},
		{"named as the published text does", []string{stepJSON("a", "echo", `"SkipWhenPluginSettingFalse": "P.metadata.x.off"`), stepJSON("b", "echo", `"SkipWhenPluginSettingFalse": "P.metadata.x.on"`)}, []string{"b"}, ""},
		{"set is run", []string{stepJSON("a", "echo", `"SkipWhenPluginSettingFalse": "P:on"`), stepJSON("b", "echo")}, []string{"a", "b"}, ""},
		// A typing error in a setting must not switch a check off.
		{"neither true nor false is a failure", []string{stepJSON("a", "echo", `"SkipWhenPluginSettingFalse": "P:odd"`), stepJSON("b", "echo")}, nil, `setting odd of plugin P is "ture", expected true or false`},
		{"unsupported is a failure", []string{`{"id": "a", "ExecutionType": "UserDesktop", "command": "mytool"}`, stepJSON("b", "echo")}, nil, "task a: ExecutionType UserDesktop: a session of \"\": unsupported operation"},
		{"unsupported in a branch not taken", []string{stepJSON("b", "echo", `"OnSuccess": "stop"`), `{"id": "a", "ExecutionType": "User", "command": "KeeperMfa"}`}, []string{"b"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHarness(t, map[string]string{"j": jobJSON("j", strings.Join(tc.tasks, ", "))})
			h.settings = map[string]string{"P:off": "False", "P:on": "TRUE", "P:odd": "ture", "P:metadata.x.off": "false", "P:metadata.x.on": "true"}
			ran := traced(h)
			err := h.runNow("j", nil)
			if !slices.Equal(*ran, tc.ran) {
				t.Errorf("ran %v, want %v", *ran, tc.ran)
			}
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestACircleOfRoutesEnds(t *testing.T) {
	h := newHarness(t, map[string]string{
		"circle":  jobJSON("circle", stepJSON("a", "echo", `"OnSuccess": "b"`)+", "+stepJSON("b", "echo", `"OnSuccess": "a"`)),
		"skipped": jobJSON("skipped", stepJSON("a", "echo", `"SkipWhenPluginSettingFalse": "P:off"`)+", "+stepJSON("b", "echo", `"OnSuccess": "a"`)),
	})
	for _, id := range []string{"circle", "skipped"} {
		if err := h.runNow(id, nil); !errors.Is(err, errSteps) {
			t.Errorf("%s: got %v", id, err)
		}
	}
}

func TestATaskHasItsTimeOnly(t *testing.T) {
	for _, tc := range []struct {
		name, fields string
		want         time.Duration
	}{
		{"by default", "", time.Hour},
		{"as its file says", `, "timeoutSeconds": 5`, 5 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHarness(t, map[string]string{"j": jobJSON("j", `{"id": "a", "command": "wait"`+tc.fields+`}`)})
				begun := time.Now()
				err := h.runNow("j", nil)
				if took := time.Since(begun); took != tc.want || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), fmt.Sprintf("it did not end within %v", tc.want)) {
					t.Errorf("ended after %v with %v", took, err)
				}
				if err := h.Close(context.Background()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestTheRouteAfterATimeoutIsOnFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, map[string]string{"j": jobJSON("j", `{"id": "a", "command": "wait", "OnFailure": "c"}, `+stepJSON("b", "fail")+", "+stepJSON("c", "echo"))})
		if err := h.runNow("j", nil); err != nil {
			t.Error(err)
		}
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// Attack: a tool that can be made to print JSON decides which file, user or
// request later tasks act on (context poisoning).
func TestTasksCannotChangeWhatTheRunWasStartedWith(t *testing.T) {
	h := newHarness(t, map[string]string{"j": jobJSON("j", strings.Join([]string{
		`{"id": "poison", "command": "echo", "MergeStdoutJsonIntoContext": true, "parameters": {
			"filepath": "/tmp/evil", "RequestId": "OTHER", "KEEPERAPIBASEURL": "https://evil", "JobId": "x", "approot": "/tmp", "Level": "9", "New": "n"}}`,
		`{"id": "skipped", "command": "echo", "SkipWhenPluginSettingFalse": "P:off", "ContextWhenSkipped": {"FilePath": "/tmp/evil", "Skipped": "yes"}}`,
		`{"id": "look", "command": "see", "arguments": "{FilePath} {RequestId} {KeeperApiBaseUrl} {JobId} {approot} {Level} {New} {Skipped}"}`,
	}, ", "), `"parameters": [{"name": "Level", "type": "string", "default": "1"}]`, onLaunch)})
	var seen []string
	h.commands["see"] = func(_ context.Context, _ core.Principal, params map[string]any) (map[string]any, error) {
		seen, _ = params["arguments"].([]string)
		return nil, nil
	}
	h.reload()
	h.Trigger(event("LaunchPrivilegeElevation", map[string]any{"RequestId": "R1", "FilePath": "/usr/bin/id"}))
	if err := h.end(0).err; err != nil {
		t.Fatal(err)
	}
	want := []string{"/usr/bin/id", "R1", "https://127.0.0.1:6889", "j", h.cfg.Layout.Root(), "9", "n", "yes"}
	if !slices.Equal(seen, want) {
		t.Errorf("got %q\nwant %q", seen, want)
	}
}

// Attack: an event whose context carries one of the agent's own names sends a
// task to another API.
func TestTheContextCannotStandInForTheAgentsTokens(t *testing.T) {
	h := newHarness(t, map[string]string{"j": jobJSON("j", `{"id": "a", "command": "see", "arguments": "{KeeperApiBaseUrl} {JobId}"}`, onEvent("E"))})
	var seen []string
	h.commands["see"] = func(_ context.Context, _ core.Principal, params map[string]any) (map[string]any, error) {
		seen, _ = params["arguments"].([]string)
		return nil, nil
	}
	h.reload()
	h.Trigger(event("E", map[string]any{"KeeperApiBaseUrl": "https://evil", "jobid": "x"}))
	if err := h.end(0).err; err != nil {
		t.Fatal(err)
	}
	if want := []string{"https://127.0.0.1:6889", "j"}; !slices.Equal(seen, want) {
		t.Errorf("got %q, want %q", seen, want)
	}
}

// The published path variables work in jobs. An event cannot change where {bin}/tool is;
// a job that calls a parameter so has said itself what it wants.
func TestPathVariables(t *testing.T) {
	h := newHarness(t, map[string]string{"j": jobJSON("j", `{"id": "a", "command": "see", "arguments": "{bin}/tool {etc} {tmp}/x {usr} {var} {home} {rootdir}/srv {Bin}"}`,
		`"parameters": [{"name": "var", "type": "string"}]`, onEvent("E"))})
	var seen []string
	h.commands["see"] = func(_ context.Context, _ core.Principal, params map[string]any) (map[string]any, error) {
		seen, _ = params["arguments"].([]string)
		return nil, nil
	}
	h.reload()
	h.Trigger(event("E", map[string]any{"bin": "/evil", "var": "own"}))
	if err := h.end(0).err; err != nil {
		t.Fatal(err)
	}
	// Letter case counts on Linux: {Bin} is the event's.
	if want := []string{"/bin/tool", "/etc", "/tmp/x", "/usr", "own", "/home", "/srv", "/evil"}; !slices.Equal(seen, want) {
		t.Errorf("got %q, want %q", seen, want)
	}
}

func TestTheContextIsBounded(t *testing.T) {
	h := newHarness(t, map[string]string{"j": jobJSON("j",
		`{"id": "a", "command": "grow", "MergeStdoutJsonIntoContext": true, "OnSuccess": "b"}, `+stepJSON("b", "echo", `"OnSuccess": "a"`))})
	h.commands["grow"] = func(context.Context, core.Principal, map[string]any) (map[string]any, error) {
		return map[string]any{"x": strings.Repeat("x", 1<<20)}, nil
	}
	h.reload()
	if err := h.runNow("j", nil); !errors.Is(err, errLearned) {
		t.Errorf("got %v", err)
	}
}

func TestTokens(t *testing.T) {
	for _, tc := range []struct{ name, token, want, err string }{
		{"text", "{Text}", "a b", ""},
		{"any letter case", "{tEXT}", "a b", ""},
		{"a number", "{Number}", "1.5", ""},
		{"true", "{Flag}", "true", ""},
		{"a list", "{List}", `["a","b c"]`, ""},
		{"null", "x{Null}y", "xy", ""},
		{"one of Go's own types", "{Named}", "ABC", ""},
		{"NUL", "{Nul}", "", "{Nul} holds a NUL character"},
		{"unknown", "{Nobody}", "", "unknown token {Nobody}: neither the event, a parameter nor an earlier task gave it"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHarness(t, map[string]string{"j": jobJSON("j", `{"id": "a", "command": "see", "arguments": "'`+tc.token+`'"}`)})
			var seen []string
			h.commands["see"] = func(_ context.Context, _ core.Principal, params map[string]any) (map[string]any, error) {
				seen, _ = params["arguments"].([]string)
				return nil, nil
			}
			h.reload()
			err := h.runNow("j", map[string]any{
				"Text": "a b", "Number": 1.5, "Flag": true, "List": []any{"a", "b c"}, "Null": nil, "Named": core.RequestID("ABC"), "Nul": "a\x00b",
			})
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("got %v, want %s", err, tc.err)
				}
				return
			}
			if err != nil || !slices.Equal(seen, []string{tc.want}) {
				t.Errorf("got %q, %v; want %q", seen, err, tc.want)
			}
		})
	}
}
