package jobs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"testing"

	"kpm/core"
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
	satisfy := func(_ context.Context, run core.Principal, id core.RequestID, _ core.Control) error {
		return ask(run, id)
	}
	h.commands = task.Commands{
		"log-message":          task.Echo,
		"prompt-justification": task.CollectControl(core.ControlJustify, satisfy),
		"prompt-mfa":           task.CollectControl(core.ControlMFA, satisfy),
		"await-approval":       task.CollectControl(core.ControlApproval, func(context.Context, core.Principal, core.RequestID, core.Control) error { return nil }),
		"show-toast":           task.Echo,
	}
	h.reload()
	return h
}

func TestTheDefaultJobsAreEnabledAndStartFromTheirOwnEvents(t *testing.T) {
	h := newDefaults(t, nil)
	list := h.List()
	if len(list) != 4 {
		t.Errorf("%d default jobs", len(list))
	}
	for _, job := range list {
		if job.ID == "log-version-info" {
			if !job.Enabled || job.OwnEventsOnly || job.Detail != "" || job.Events[0] != "Startup" {
				t.Errorf("%+v", job)
			}
			continue
		}
		if !job.Enabled || !job.OwnEventsOnly || job.AllowPluginTrigger || job.Detail != "" {
			t.Errorf("%+v", job)
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

func TestTheLaunchJobLaunches(t *testing.T) {
	for _, tc := range []struct {
		name     string
		redirect string // the plugin setting
		exit     int    // of RedirectEvaluator
		status   int    // of the API
		launches int
		want     string
	}{
		{"without a redirect", "", 0, 200, 1, ""},
		{"with redirects switched off", "false", 0, 200, 1, ""},
		{"when no rule matches", "true", 0, 200, 1, ""},
		{"not when a rule matches", "true", 10, 200, 0, "task check-redirect: it exited with status 10: policy redirects this program"},
		{"not when the evaluator breaks", "true", 1, 200, 0, "it exited with status 1"},
		{"unless the launcher refuses", "", 0, 409, 1, "task launch-elevated: POST http://localhost/api/launch: status 409"},
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
				fmt.Fprint(spec.Stdout, `{"RedirectMatched": false}`)
				if tc.exit != 0 {
					fmt.Fprint(spec.Stderr, "policy redirects this program\n")
				}
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
			if len(asked) != tc.launches {
				t.Fatalf("asked %+v", asked)
			}
			if tc.launches > 0 && (asked[0].method != "POST" || asked[0].target != "/api/launch" || asked[0].body != `{"RequestId":"R1"}` || h.asked[0].Request != "R1") {
				t.Errorf("asked %+v as %+v", asked[0], h.asked)
			}
		})
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
	if e := h.end(0); e.err != nil || e.run.Name != "log-version-info" || said["Message"] != "KeeperPrivilegeManager 1.2.3 on Linux" {
		t.Errorf("%+v %v", e, said)
	}
}
