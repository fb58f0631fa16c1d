package jobs

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"kpm/core"
	"kpm/core/dialog"
	"kpm/core/wire"
	"kpm/jobs/defaults"
	"kpm/jobs/task"
)

// pending is the context of docs/wire.md, "Events", as JSON decodes it.
func pending(controls ...any) map[string]any {
	return map[string]any{
		"RequestId": "R1", "ControlList": controls, "EventType": "PrivilegeElevation", "UserName": "ann",
		"FilePath": "/usr/bin/id", "CommandLine": "id -u", "Arguments": []any{"id", "-u"}, "RespondToTopic": "Replies/KeeperPrivilegeManager/R1",
	}
}

func TestTheControlJobAsksForWhatIsRequired(t *testing.T) {
	for _, tc := range []struct {
		name    string
		context map[string]any
		answer  error
		asked   int
		want    string
	}{
		{"and gets one", pending("JUSTIFY"), nil, 1, ""},
		{"and gets none", pending("JUSTIFY"), errors.New("cancelled"), 1, "task justification: cancelled"},
		{"or for a code", pending("MFA"), nil, 1, ""},
		{"for both", pending("JUSTIFY", "MFA"), nil, 2, ""},
		{"only if it is required", pending("APPROVAL"), nil, 0, ""},
		{"and knows what is required", map[string]any{"RequestId": "R1"}, nil, 0, "ControlList is missing"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			asked := 0
			h := newDefaults(t, func(run core.Principal, id core.RequestID) error {
				if run.Request != "R1" || id != "R1" || run.Name != "privilege-elevation-policy-controls" {
					t.Errorf("asked for %s by %+v", id, run)
				}
				asked++
				return tc.answer
			})
			h.Trigger(event("PolicyEvaluationPending", tc.context))
			e := h.end(0)
			if (e.err == nil) != (tc.want == "") || e.err != nil && !strings.Contains(e.err.Error(), tc.want) || asked != tc.asked {
				t.Errorf("ended with %v, asked %d times", e.err, asked)
			}
		})
	}
}

// The control jobs of the published table: which one takes a request, by system and by
// what it is about, and whether it asks on the desktop or at the terminal.
func TestWhichControlJobAsksWhere(t *testing.T) {
	const standard, mac, others = "privilege-elevation-policy-controls", "privilege-elevation-policy-controls-macos", "default-policy-controls"
	for _, tc := range []struct {
		name     string
		platform core.Platform
		event    string
		askOn    string
		dialogs  error // what becomes of each
		by       string
		want     string
	}{
		{"at a terminal", core.Linux, "PrivilegeElevation", "terminal", nil, standard, "MFA JUSTIFY APPROVAL"},
		{"headless", core.Linux, "PrivilegeElevation", "", nil, standard, "MFA JUSTIFY APPROVAL"},
		{"on the desktop", core.Linux, "PrivilegeElevation", "desktop", nil, standard, "dialog:MFA dialog:JUSTIFY dialog:APPROVAL"},
		{"on a desktop that cannot show it", core.Windows, "PrivilegeElevation", "desktop", errors.New("no zenity"), standard, "dialog:MFA MFA dialog:JUSTIFY JUSTIFY dialog:APPROVAL APPROVAL"},
		{"on macOS", core.MacOS, "PrivilegeElevation", "desktop", nil, mac, "dialog:MFA dialog:JUSTIFY dialog:APPROVAL"},
		{"on macOS at a terminal", core.MacOS, "PrivilegeElevation", "terminal", nil, mac, "MFA JUSTIFY APPROVAL"},
		{"for something else", core.Linux, "Custom", "desktop", nil, others, "dialog:MFA dialog:JUSTIFY dialog:APPROVAL"},
		{"for an address", core.Linux, "HttpAccess", "desktop", nil, "", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var asked []string
			done := map[core.Control]bool{}
			h := newDefaults(t, nil)
			h.cfg.Platform = tc.platform
			collect := func(control core.Control) task.Command {
				return task.CollectControl(control, func(_ context.Context, run core.Principal, _ core.RequestID, control core.Control) error {
					if run.Name != tc.by {
						t.Errorf("asked by %s", run.Name)
					}
					if !done[control] { // else the request needs it no more
						asked = append(asked, string(control))
					}
					return nil
				})
			}
			h.commands["prompt-mfa"], h.commands["prompt-justification"], h.commands["await-approval"] = collect(core.ControlMFA), collect(core.ControlJustify), collect(core.ControlApproval)
			h.dialogs = task.Dialogs{
				Programs: map[string]core.Control{"KeeperMFA": core.ControlMFA, "KeeperJustification": core.ControlJustify, "KeeperApproval": core.ControlApproval},
				Satisfy: func(_ context.Context, run core.Principal, id core.RequestID, control core.Control, _ dialog.Show) error {
					if run.Name != tc.by || id != "R1" {
						t.Errorf("asked for %s by %s", id, run.Name)
					}
					asked = append(asked, "dialog:"+string(control))
					done[control] = tc.dialogs == nil
					return tc.dialogs
				},
			}
			h.reload()
			context := pending("MFA", "JUSTIFY", "APPROVAL")
			context["EventType"] = tc.event
			if tc.askOn != "" {
				context["AskOn"] = tc.askOn
			}
			h.Trigger(event("PolicyEvaluationPending", context))
			begun := []string{standard, others} // of which one is passed over, or both are
			if tc.platform == core.MacOS || tc.event != "PrivilegeElevation" {
				begun = append(begun, mac) // as the alternate
			}
			h.await(func() bool {
				return !slices.ContainsFunc(begun, func(id string) bool {
					return !slices.ContainsFunc(h.completed, func(c wire.JobCompleted) bool { return c.JobID == id })
				})
			})
			if got := strings.Join(asked, " "); got != tc.want {
				t.Errorf("asked %q, expected %q", got, tc.want)
			}
		})
	}
}

// The control jobs have the published tasks, and go through those that are for the answer
// that was given.
func TestThePublishedTasksOfTheControlJobs(t *testing.T) {
	const elevation, file = "privilege-elevation-policy-controls", "file-access-policy-controls"
	all := []string{"KeeperMFA", "KeeperJustification", "KeeperApproval", "display-message", "publish-mqtt", "show-toast"}
	for id, want := range map[string][]string{
		elevation: append([]string{"check-approval-provider", "echo", "Http"}, all...), file: append([]string{"check-approval-provider", "echo", "Http"}, all...),
		elevation + "-macos": all, file + "-macos": all, file + "-headless": {"log-message", "publish-mqtt"}, "default-policy-controls": all[:3],
	} {
		data, err := defaults.Files.ReadFile(id + ".json")
		if err != nil {
			t.Fatal(err)
		}
		for _, command := range want {
			if !strings.Contains(string(data), fmt.Sprintf(`"command": %q`, command)) && !strings.Contains(string(data), fmt.Sprintf(`"ExecutionType": %q`, command)) {
				t.Errorf("%s has no task %s", id, command)
			}
		}
	}
	for _, tc := range []struct {
		name, askOn string
		platform    core.Platform
		answer      error
		tasks, says string
	}{
		{"at a terminal", "terminal", core.Linux, nil, "check-approval-provider second-factor justification approval audit", "was given"},
		{"on the desktop", "desktop", core.Linux, nil, "check-approval-provider second-factor justification approval audit tell-allowed", "was given"},
		{"refused", "desktop", core.Linux, errors.New("cancelled"), "check-approval-provider second-factor refused error-handler tell-refused answer-deny audit-refused", "was not given"},
		{"refused on macOS", "terminal", core.MacOS, errors.New("cancelled"), "second-factor answer-deny audit-refused", "was not given"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newDefaults(t, func(core.Principal, core.RequestID) error { return tc.answer })
			h.cfg.Platform = tc.platform
			h.reload()
			var asked []seen
			h.api = recorder(&asked, 200, `{"status": "healthy"}`)
			context := pending("MFA", "JUSTIFY", "APPROVAL")
			context["AskOn"] = tc.askOn
			h.Trigger(event("PolicyEvaluationPending", context))
			e := h.end(0)
			if (e.err != nil) != (tc.answer != nil) || e.err != nil && e.err.Error() != "task second-factor: cancelled" {
				t.Errorf("ended with %v", e.err)
			}
			var ran []string
			for _, run := range h.history.all() {
				for _, task := range run.Tasks {
					if task.State != "skipped" && !strings.HasPrefix(task.TaskID, "Keeper") {
						ran = append(ran, task.TaskID)
					}
				}
			}
			if got := strings.Join(ran, " "); got != tc.tasks {
				t.Errorf("ran %q, expected %q", got, tc.tasks)
			}
			if len(h.logged) != 1 || h.logged[0] != `Request R1 of ann: ["MFA","JUSTIFY","APPROVAL"] `+tc.says {
				t.Errorf("logged %q", h.logged)
			}
			if handled := strings.Contains(tc.tasks, "error-handler"); handled != (len(asked) == 1 && asked[0].target == "/health") {
				t.Errorf("asked %+v", asked)
			}
		})
	}
}

// An approver is asked by the job of the service's own event.
func TestTheApproverIsAskedByAJob(t *testing.T) {
	var asked []string
	h := newDefaults(t, nil)
	h.dialogs = task.Dialogs{
		Programs: map[string]core.Control{"KeeperApproval": core.ControlApproval},
		Decide: func(_ context.Context, on dialog.Desktop, approval string, _ dialog.Show) error {
			asked = append(asked, fmt.Sprint(on.User, " in ", on.Session, " about ", approval))
			return nil
		},
	}
	h.reload()
	h.Trigger(event("ApprovalRequested", map[string]any{"ApprovalUid": "K7QP-3M2X", "UserName": "bob", "SessionId": "c3"}))
	if e := h.end(0); e.err != nil || !slices.Equal(asked, []string{"bob in c3 about K7QP-3M2X"}) {
		t.Errorf("%v, %q", e.err, asked)
	}
}
