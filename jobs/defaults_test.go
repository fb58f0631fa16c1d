package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kpm/core"
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

// Attack: a password stands in the arguments of a command. The journal masks it, and no
// default job writes it into the log in another way. And what is shown to a person says
// to whom, so that it is not shown to everybody who is logged in.
func TestDefaultJobsTellNobodyElse(t *testing.T) {
	files, err := fs.Glob(defaults.Files, "*.json")
	if err != nil {
		t.Fatal(err)
	}
	logs, shown := 0, 0
	for _, file := range files {
		data, err := fs.ReadFile(defaults.Files, file)
		if err != nil {
			t.Fatal(err)
		}
		var job struct {
			Tasks []struct {
				Command    string
				Parameters json.RawMessage
			}
		}
		if err := json.Unmarshal(data, &job); err != nil {
			t.Fatal(file, err)
		}
		for _, task := range job.Tasks {
			text := string(task.Parameters)
			if task.Command == "show-toast" || task.Command == "display-message" {
				shown++
				if !strings.Contains(text, `"UserName": "{UserName}"`) {
					t.Errorf("%s shows everybody %s", file, text)
				}
			}
			if task.Command != "log-message" && !strings.Contains(text, `"`+wire.TopicLogger+`"`) {
				continue
			}
			logs++
			if strings.Contains(text, "{CommandLine}") || strings.Contains(text, "{Arguments}") {
				t.Errorf("%s logs %s", file, text)
			}
		}
	}
	if logs == 0 || shown == 0 {
		t.Errorf("%d jobs log, and %d show, anything", logs, shown)
	}
}
