package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"kpm/core"
)

// opening is the context of a request for access to a file.
func opening(controls ...any) map[string]any {
	context := pending(controls...)
	context["EventType"], context["FilePath"] = "FileAccess", "/srv/list"
	context["CommandLine"], context["Arguments"] = "/srv/list", []any{"/srv/list"}
	return context
}

// The control job of the platform and of the place asks, as the one job that the
// request waits for, and elevations are no business of its.
func TestTheFileAccessControlJobs(t *testing.T) {
	for name, tc := range map[string]struct {
		platform core.Platform
		desktop  bool
		answer   error
		runs     string
		says     string
	}{
		"with a desktop":                {core.Linux, true, nil, "file-access-policy-controls", ""},
		"without a desktop":             {core.Linux, false, nil, "file-access-policy-controls-headless", "PENDING ALLOW"},
		"without a desktop, and denied": {core.Linux, false, errors.New("cancelled"), "file-access-policy-controls-headless", "PENDING DENY"},
		"on macOS":                      {core.MacOS, true, nil, "file-access-policy-controls-macos", ""},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			h := newDefaults(t, func(run core.Principal, id core.RequestID) error {
				if run.Request != "R1" || id != "R1" || run.Name != tc.runs {
					t.Errorf("asked for %s by %+v", id, run)
				}
				asked++
				return tc.answer
			})
			h.cfg.Platform = tc.platform
			h.cfg.HasDesktop = func(user string) bool { return tc.desktop && user == "ann" }
			h.reload()
			h.Trigger(event("PolicyEvaluationPending", opening("JUSTIFY")))
			e := h.end(0)
			if e.run.Name != "file-access-policy-controls" || e.run.Request != "R1" || asked != 1 {
				t.Errorf("%+v, asked %d times", e, asked)
			}
			if said := strings.ReplaceAll(strings.Join(h.published, " "), "Replies/KeeperPrivilegeManager/R1 ", ""); said != tc.says {
				t.Errorf("said %q", said)
			}
		})
	}
}

// An elevation is asked about by its own job alone.
func TestAnElevationIsNoFileAccess(t *testing.T) {
	h := newDefaults(t, func(run core.Principal, _ core.RequestID) error {
		if run.Name != "privilege-elevation-policy-controls" {
			t.Errorf("asked by %+v", run)
		}
		return nil
	})
	h.Trigger(event("PolicyEvaluationPending", pending("JUSTIFY")))
	if e := h.end(0); e.err != nil || e.run.Name != "privilege-elevation-policy-controls" {
		t.Errorf("%+v", e)
	}
}

// What is allowed, or approved, is given by the API, for as long as the file says
// unless the event says otherwise.
func TestTheFileAccessLaunchJobs(t *testing.T) {
	for name, tc := range map[string]struct {
		event   string
		minutes any
		status  int
		body    string
		says    string
		failed  bool
	}{
		"allowed":                      {"LaunchFileAccess", nil, 200, `{"RequestId":"R1","DurationMinutes":"240"}`, "ALLOW", false},
		"allowed, for a time":          {"LaunchFileAccess", 30, 200, `{"RequestId":"R1","DurationMinutes":"30"}`, "ALLOW", false},
		"the launcher refuses":         {"LaunchFileAccess", nil, 409, `{"RequestId":"R1","DurationMinutes":"240"}`, "", true},
		"approved":                     {"GrantFileAccess", nil, 200, `{"ApprovalUid":"ABCD-2345","DurationMinutes":"240"}`, "", false},
		"approved, and used meanwhile": {"GrantFileAccess", nil, 409, `{"ApprovalUid":"ABCD-2345","DurationMinutes":"240"}`, "", false},
	} {
		t.Run(name, func(t *testing.T) {
			h := newDefaults(t, nil)
			var asked []seen
			h.api = recorder(&asked, tc.status, "")
			context := opening()
			delete(context, "ControlList")
			context["ApprovalUid"] = "ABCD-2345"
			if tc.minutes != nil {
				context["DurationMinutes"] = tc.minutes
			}
			if tc.event == "GrantFileAccess" { // it is about no request
				delete(context, "RequestId")
			}
			h.Trigger(event(tc.event, context))
			e := h.end(0)
			if e.run.Name != tc.event || (e.err != nil) != tc.failed {
				t.Errorf("%+v", e)
			}
			if len(asked) != 1 || asked[0].method != "POST" || asked[0].target != "/api/filegrants" || asked[0].body != tc.body {
				t.Errorf("asked %+v", asked)
			}
			if said := strings.ReplaceAll(strings.Join(h.published, " "), "Replies/KeeperPrivilegeManager/R1 ", ""); said != tc.says {
				t.Errorf("said %q", said)
			}
		})
	}
}

// At start what is over is ended, by both jobs.
func TestTheStartupCleanups(t *testing.T) {
	for job, target := range map[string]string{"FileAccessStartupCleanup": "/api/filegrants/cleanup", "ExecutionGrantStartupCleanup": "/api/executiongrants/cleanup"} {
		h := newDefaults(t, nil)
		var asked []seen
		h.api = recorder(&asked, 200, `{"ended":0,"left":0}`)
		if err := h.runNow(job, nil); err != nil {
			t.Error(err)
		}
		if len(asked) != 1 || asked[0].method != "POST" || asked[0].target != target {
			t.Errorf("%s asked %+v", job, asked)
		}
	}
	h := newDefaults(t, nil)
	var asked []seen
	h.api = recorder(&asked, 200, "")
	h.commands["publish-mqtt"] = func(context.Context, core.Principal, map[string]any) (map[string]any, error) { return nil, nil }
	h.reload()
	h.Trigger(event("Startup", nil))
	atStart := 0
	for _, job := range h.List() {
		if slices.Contains(job.Events, "Startup") {
			atStart++
		}
	}
	names := map[string]bool{}
	for n := range atStart {
		names[h.end(n).run.Name] = true
	}
	if !names["FileAccessStartupCleanup"] || !names["ExecutionGrantStartupCleanup"] {
		t.Errorf("at start: %s", fmt.Sprint(names))
	}
}
