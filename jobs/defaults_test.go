package jobs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kpm/core"
	"kpm/core/dialog"
	"kpm/core/wire"
	"kpm/jobs/defaults"
	"kpm/jobs/task"
)

// newDefaults is an agent with the default jobs. justify plays the launcher's
// prompt.
func newDefaults(t testing.TB, ask func(core.Principal, core.RequestID) error) *harness {
	t.Helper()
	files, err := fs.Glob(defaults.Files, "*.json")
	if err != nil {
		t.Fatal(err)
	}
	texts := map[string]string{}
	for _, file := range files {
		data, err := fs.ReadFile(defaults.Files, file)
		if err != nil {
			t.Fatal(err)
		}
		texts[strings.TrimSuffix(file, ".json")] = string(data)
	}
	h := newHarness(t, texts)
	for _, name := range []string{"KeeperInventory", "KeeperMFA", "KeeperJustification", "KeeperApproval"} {
		writeFile(t, h.cfg.Layout.JobBin(name, ""), "")
	}
	satisfy := func(_ context.Context, run core.Principal, id core.RequestID, _ core.Control) error {
		return ask(run, id)
	}
	h.commands = task.Commands{
		"log-message": task.Echo, "publish-mqtt": func(_ context.Context, _ core.Principal, params map[string]any) (map[string]any, error) {
			payload := params["Payload"].(map[string]any)
			if params["Topic"] == wire.TopicLogger {
				h.logged = append(h.logged, fmt.Sprint(payload["Message"]))
				return nil, nil
			}
			h.published = append(h.published, fmt.Sprint(params["Topic"], " ", payload["Result"]))
			return nil, nil
		},
		"prompt-justification": task.CollectControl(core.ControlJustify, satisfy),
		"prompt-mfa":           task.CollectControl(core.ControlMFA, satisfy),
		"await-approval":       task.CollectControl(core.ControlApproval, func(context.Context, core.Principal, core.RequestID, core.Control) error { return nil }),
		"show-toast":           task.Echo, "display-message": task.Echo, "echo": task.Echo,
		"check-approval-provider": task.Echo,
	}
	h.reload()
	return h
}

func TestTheDefaultJobsAreEnabledAndStartFromTheirOwnEvents(t *testing.T) {
	h := newDefaults(t, nil)
	const startup, request, clock, alternate = "Startup", "its own events", "its schedule", "another job's condition"
	begins := map[string]string{
		"log-version-info": startup, "registration": startup, "3A124C4D-2D41-4174-9A13-998D1683DADC": clock,
		"68112CE4-A2A8-4243-83C9-90BF8D2188A0": clock, "ExecutionGrantStartupCleanup": startup, "FileAccessStartupCleanup": startup,
		"ephemeral-account-cleanup-if-unused": startup, "ephemeral-orphan-profile-folders-cleanup": startup,
		"privilege-elevation-policy-controls-macos": alternate, "file-access-policy-controls-macos": alternate, "file-access-policy-controls-headless": alternate,
	}
	for _, job := range h.List() {
		off := job.ID == "68112CE4-A2A8-4243-83C9-90BF8D2188A0" // the published default
		if job.Enabled == off || (job.Detail == "its file says enabled: false") != off {
			t.Errorf("%+v", job)
		}
		ok := false
		switch begins[job.ID] {
		case startup:
			ok = slices.Equal(job.Events, []string{"Startup"})
		case clock:
			ok = off || !job.NextRunAt.IsZero() && len(job.Events) == 0
		case alternate:
			ok = len(job.Events) == 0 && !job.AllowPluginTrigger
		default:
			ok = job.OwnEventsOnly && !job.AllowPluginTrigger
		}
		if !ok {
			t.Errorf("%+v", job)
		}
	}
	if n := len(h.List()); n < len(begins)+2 {
		t.Errorf("%d default jobs", n)
	}
}

// The inventory jobs run their program, and what it says becomes context.
func TestTheInventoryJobs(t *testing.T) {
	h := newDefaults(t, nil)
	h.starter.play = func(spec core.ServiceSpec) *core.ExitStatus {
		fmt.Fprintf(spec.Stdout, `{"InventoryKind": %q}`, spec.Argv[1])
		if want := "--out=" + h.cfg.Layout.State() + "/inventory/" + spec.Argv[1] + ".json"; len(spec.Argv) != 3 || spec.Argv[2] != want {
			t.Errorf("started as %q, expected %s", spec.Argv, want)
		}
		return &core.ExitStatus{}
	}
	if err := h.runNow("3A124C4D-2D41-4174-9A13-998D1683DADC", nil); err != nil {
		t.Error(err)
	}
	if out := h.history.all()[0].ContextOut; out["InventoryKind"] != "users" {
		t.Errorf("found %v", out)
	}
	if _, err := h.Run(t.Context(), "68112CE4-A2A8-4243-83C9-90BF8D2188A0", nil); !errors.Is(err, ErrDisabled) {
		t.Errorf("the file inventory, which is off: %v", err)
	}
	detail, err := h.Get("68112CE4-A2A8-4243-83C9-90BF8D2188A0")
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(h.cfg.Layout.Jobs(), detail.ID+".json"), strings.Replace(string(detail.Definition), `"enabled": false`, `"enabled": true`, 1))
	if _, err := h.Reload(); err != nil {
		t.Fatal(err)
	}
	if err := h.runNow(detail.ID, nil); err != nil {
		t.Errorf("switched on: %v", err)
	}
}

// Registration asks KeeperAPI once a backend is configured, and does nothing before.
func TestRegistrationIsIdleWithoutABackend(t *testing.T) {
	for setting, want := range map[string]string{"": "", "false": "", "true": "KeeperApi 1.2.3"} {
		h := newDefaults(t, nil)
		h.settings["KeeperAPI:metadata.registration.enabled"] = setting
		var said string
		h.commands["publish-mqtt"] = func(_ context.Context, _ core.Principal, params map[string]any) (map[string]any, error) {
			said = fmt.Sprint(params["Topic"], " ", params["Payload"].(map[string]any)["Version"])
			return nil, nil
		}
		if setting == "" {
			delete(h.settings, "KeeperAPI:metadata.registration.enabled")
		}
		h.reload()
		if err := h.runNow("registration", nil); err != nil || said != want {
			t.Errorf("%q: %v, said %q", setting, err, said)
		}
	}
}

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

func TestTheLaunchJobLaunches(t *testing.T) {
	for _, tc := range []struct {
		name     string
		redirect string // the plugin setting
		prints   string // RedirectEvaluator
		exit     int    // the same
		status   int    // of the API
		asks     string // the launcher
		says     string // on the reply topic
		want     string
	}{
		{"without a redirect", "", "", 0, 200, "/api/launch", "DidElevate", ""},
		{"with redirects switched off", "false", "", 0, 200, "/api/launch", "DidElevate", ""},
		{"when no rule matches", "true", `{"RedirectMatched": false}`, 0, 200, "/api/launch", "DidElevate", ""},
		{"something else when a rule matches", "true", `{"RedirectMatched": true}`, 0, 200, "/api/launch-substitute", "Deny", ""},
		{"nothing when the evaluator breaks", "true", "", 1, 200, "", "", "it exited with status 1"},
		{"nothing when the evaluator does not say", "true", `{}`, 0, 200, "", "", ""},
		{"nothing when it says something odd", "true", `{"RedirectMatched": "maybe"}`, 0, 200, "", "", ""},
		{"unless the launcher refuses", "", "", 0, 409, "/api/launch", "", "task launch-elevated: POST http://localhost/api/launch: status 409"},
		{"nor the substitute then", "true", `{"RedirectMatched": true}`, 0, 409, "/api/launch-substitute", "", "task launch-substitute: POST http://localhost/api/launch-substitute: status 409"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newDefaults(t, nil)
			if tc.redirect != "" {
				h.settings["RedirectEvaluator:metadata.redirect.enabled"] = tc.redirect
			}
			writeFile(t, h.cfg.Layout.JobBin("RedirectEvaluator", ""), "")
			h.starter.play = func(spec core.ServiceSpec) *core.ExitStatus {
				if want := []string{spec.Path, "--file=/usr/bin/id", `--command-line=["id","-u"]`, "--user=ann"}; fmt.Sprint(spec.Argv) != fmt.Sprint(want) {
					t.Errorf("evaluator started as %q", spec.Argv)
				}
				fmt.Fprint(spec.Stdout, tc.prints)
				return &core.ExitStatus{Code: tc.exit}
			}
			var asked []seen
			h.api = recorder(&asked, tc.status, "")
			context := pending()
			delete(context, "ControlList")
			h.Trigger(event("LaunchPrivilegeElevation", context))
			e := h.end(0)
			if (e.err == nil) != (tc.want == "") || e.err != nil && !strings.Contains(e.err.Error(), tc.want) {
				t.Errorf("ended with %v", e.err)
			}
			if len(asked) > 1 || (len(asked) > 0) != (tc.asks != "") {
				t.Fatalf("asked %+v", asked)
			}
			if len(asked) > 0 && (asked[0].method != "POST" || asked[0].target != tc.asks || asked[0].body != `{"RequestId":"R1"}` || h.asked[0].Request != "R1") {
				t.Errorf("asked %+v as %+v", asked[0], h.asked)
			}
			if said := strings.Join(h.published, ","); said != strings.TrimSuffix("Replies/KeeperPrivilegeManager/R1 "+tc.says, "Replies/KeeperPrivilegeManager/R1 ") {
				t.Errorf("said %q", said)
			}
		})
	}
}

// Where policy has it run as whoever asked, the launch job asks for that.
func TestTheLaunchJobLaunchesInASession(t *testing.T) {
	for _, as := range []string{"User", "UserDesktop"} {
		h := newDefaults(t, nil)
		var asked []seen
		h.api = recorder(&asked, 200, "")
		context := pending()
		delete(context, "ControlList")
		context["LaunchAs"] = as
		h.Trigger(event("LaunchPrivilegeElevation", context))
		if e := h.end(0); e.err != nil || len(asked) != 1 || asked[0].target != "/api/usersession" || asked[0].body != fmt.Sprintf(`{"RequestId":"R1","ExecutionType":%q}`, as) {
			t.Errorf("%v: asked %+v", e.err, asked)
		}
	}
}

// BenchmarkLaunchJob is the launch job's own share of an elevation: from the
// event to the end of the run, with an API that answers at once.
func BenchmarkLaunchJob(b *testing.B) {
	h := newDefaults(b, nil)
	h.api = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	context := pending()
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		h.Trigger(event("LaunchPrivilegeElevation", context))
		if err := h.end(n).err; err != nil {
			b.Fatal(err)
		}
		n++
	}
}

func TestTheVersionIsLogged(t *testing.T) {
	h := newDefaults(t, nil)
	var said map[string]any
	h.commands["log-message"] = func(_ context.Context, _ core.Principal, params map[string]any) (map[string]any, error) {
		said = params
		return nil, nil
	}
	h.reload()
	h.Trigger(event("Startup", nil))
	var e ending
	for n := 0; e.run.Name != "log-version-info"; n++ { // others start then, too
		e = h.end(n)
	}
	if e.err != nil || e.run.Name != "log-version-info" || said["Message"] != "KeeperPrivilegeManager 1.2.3 on Linux" {
		t.Errorf("%+v %v", e, said)
	}
}
