package jobs

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kpm/core"
	"kpm/core/view"
)

func TestWhatTheHistoryHas(t *testing.T) {
	h := newHarness(t, map[string]string{"j": jobJSON("j", strings.Join([]string{
		`{"id": "tool", "name": "Tool", "command": "mytool", "arguments": "{Password}", "MergeStdoutJsonIntoContext": true}`,
		`{"id": "no", "command": "echo", "condition": "Size > 5"}`,
		`{"id": "gate", "command": "echo", "SkipWhenPluginSettingFalse": "P:off", "ContextWhenSkipped": {"Skipped": true}}`,
		`{"id": "bad", "command": "fail"}`,
	}, ", "), `"parameters": [{"name": "Password", "type": "secret", "required": true}, {"name": "Pin", "secret": true, "default": "12"}]`)})
	h.starter.play = func(spec core.ServiceSpec) *core.ExitStatus {
		fmt.Fprint(spec.Stdout, `{"Size": 3, "RequestId": "R9", "ApiToken": "abcdefgh", "Echo": "it is `+spec.Argv[1]+`"}`)
		fmt.Fprint(spec.Stderr, "used \x1b[2J"+spec.Argv[1]+"\nand \xff more")
		return &core.ExitStatus{}
	}
	id, err := h.Run(t.Context(), "j", map[string]any{"Password": "hunter22", "Who": "ann", "UserName": "root"})
	if err != nil {
		t.Fatal(err)
	}
	h.end(0)
	run, err := h.RunDetail(id)
	if err != nil {
		t.Fatal(err)
	}
	if run.State != "failed" || run.Reason != "task bad: as asked" || run.Trigger.Kind != "manual" || run.Trigger.By != "Admin-0" || run.StartedAt.IsZero() || run.EndedAt.Before(run.StartedAt) {
		t.Errorf("%+v", run)
	}
	if got := fmt.Sprint(run.ContextIn); got != "map[Password:*** Who:ann]" {
		t.Error(got)
	}
	if got := fmt.Sprint(run.ContextOut); got != "map[ApiToken:*** Echo:it is *** Size:3 Skipped:true]" {
		t.Error(got)
	}
	var tasks []string
	for _, task := range run.Tasks {
		tasks = append(tasks, fmt.Sprintf("%d %s %s %s", task.Number, task.TaskID, task.State, task.Reason))
	}
	if got := strings.Join(tasks, "\n"); got != "1 tool succeeded \n2 no skipped its condition is not met: \"Size > 5\" is false: Size is 3\n3 gate skipped setting off of plugin P is not true\n4 bad failed as asked" {
		t.Error(got)
	}
	tool := run.Tasks[0]
	if tool.Name != "Tool" || tool.Type != "Service" || *tool.ExitCode != 0 || tool.Attempts != 1 || tool.ErrorOutput != "used \ufffd[2J***\nand \ufffd more" || strings.Contains(tool.Output, "hunter22") {
		t.Errorf("%+v", tool)
	}
}

// That it runs matters more than that it is written down: an elevation may wait for it.
func TestAHistoryThatCannotBeWrittenKeepsNoJobFromRunning(t *testing.T) {
	h := newHarness(t, map[string]string{"j": jobJSON("j", stepJSON("a", "echo"), onLaunch)})
	h.history.err = errors.New("no space left on device")
	h.Trigger(event("LaunchPrivilegeElevation", map[string]any{"RequestId": "R1"}))
	if e := h.end(0); e.err != nil {
		t.Error(e.err)
	}
}

// That a schedule was due is remembered in one write with the run that it started, whatever
// becomes of that: killed between two writes, the service would lose a run or repeat one.
func TestARunAndItsScheduleAreRememberedTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		daily := `"schedule": {"cronExpression": "0 1 * * *", "timeZone": "UTC"}`
		h := newHarness(t, map[string]string{
			"plain":     jobJSON("plain", `{"id": "a", "command": "echo"}`, daily),
			"misses":    jobJSON("misses", `{"id": "a", "command": "echo"}`, daily, `"condition": "has('Nowhere')", "alternateJobId": "stands-in"`),
			"stands-in": jobJSON("stands-in", `{"id": "a", "command": "echo"}`),
			"lacks":     jobJSON("lacks", `{"id": "a", "command": "echo"}`, daily, `"parameters": [{"name": "Who", "required": true}]`),
			"busy":      jobJSON("busy", `{"id": "a", "command": "wait", "timeoutSeconds": 86400}`, daily, `"concurrency": "skip"`),
			"once":      jobJSON("once", `{"id": "a", "command": "echo"}`, `"schedule": {"runAt": "2000-01-01T01:00:00Z"}`),
		})
		h.reload()
		if _, err := h.Run(t.Context(), "busy", nil); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			h.Serve(ctx)
		}()
		time.Sleep(61 * time.Minute)
		synctest.Wait()
		cancel()
		<-done
		slices.Sort(h.history.withRun)
		if got, want := strings.Join(h.history.withRun, ", "), "busy skipped, lacks failed, misses skipped, once running, plain running"; got != want {
			t.Errorf("remembered with %s, expected %s", got, want)
		}
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, map[string]string{
			"j":     jobJSON("j", `{"id": "a", "command": "flaky", "retry": {"attempts": 5, "delaySeconds": 10, "factor": 3, "maxDelaySeconds": 60}}`),
			"never": jobJSON("never", `{"id": "a", "command": "fail", "retry": {"attempts": 3, "delaySeconds": 1}, "OnFailure": "b"}, `+stepJSON("b", "echo")),
		})
		begun, tries := time.Now(), []time.Duration{}
		h.commands["flaky"] = func(context.Context, core.Principal, map[string]any) (map[string]any, error) {
			if tries = append(tries, time.Since(begun)); len(tries) < 5 {
				return nil, errors.New("not yet")
			}
			return nil, nil
		}
		h.reload()
		if err := h.runNow("j", nil); err != nil {
			t.Error(err)
		}
		if got := fmt.Sprint(tries); got != "[0s 10s 40s 1m40s 2m40s]" {
			t.Error(got)
		}
		if err := h.runNow("never", nil); err != nil {
			t.Error(err)
		}
		run := h.history.all()[1]
		if run.Tasks[0].Attempts != 3 || run.Tasks[1].TaskID != "b" {
			t.Errorf("%+v", run.Tasks)
		}
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

// A job whose condition is not met does nothing; its alternate stands in for it, also
// towards the launcher.
func TestAlternates(t *testing.T) {
	h := newHarness(t, map[string]string{
		"control": jobJSON("control", stepJSON("a", "echo"), onPending, `"condition": {"field": "hasdesktop", "value": true}`, `"alternateJobId": "headless"`),
		"headless": jobJSON("headless", stepJSON("b", "fail"), `"condition": {"field": "EventType", "value": "PrivilegeElevation"}`, `"alternateJobId": "other"`,
			`"allowPluginTrigger": false`),
		"other": jobJSON("other", stepJSON("c", "echo")),
	})
	for who, want := range map[string]string{"ada": "control succeeded", "bob": "control skipped, headless failed"} {
		h.history.runs, h.history.order = map[string]view.JobRun{}, nil
		n := len(h.ended)
		h.Trigger(event("PolicyEvaluationPending", map[string]any{"RequestId": "R1", "EventType": "PrivilegeElevation", "UserName": who}))
		e := h.end(n)
		if e.run.Name != "control" || e.run.Request != "R1" || e.event != "PolicyEvaluationPending" || (e.err != nil) != (who == "bob") {
			t.Errorf("%s: %+v", who, e)
		}
		var got []string
		var parent string
		for _, r := range h.history.all() {
			got = append(got, r.JobID+" "+r.State)
			if r.ParentID != parent || r.RequestID != "R1" {
				t.Errorf("%+v", r)
			}
			parent = r.ID
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s: %q", who, got)
		}
	}
	if len(h.unhandled) > 0 {
		t.Errorf("unhandled: %q", h.unhandled)
	}
}

func TestAlternatesAreCheckedAtLoad(t *testing.T) {
	never := `"condition": "1 == 2"`
	h := newHarness(t, map[string]string{
		"a": jobJSON("a", stepJSON("x", "echo"), never, `"alternateJobId": "b"`), "b": jobJSON("b", stepJSON("x", "echo"), never, `"alternateJobId": "C"`),
		"c": jobJSON("c", stepJSON("x", "echo"), never, `"alternateJobId": "a"`), "lost": jobJSON("lost", stepJSON("x", "echo"), never, `"alternateJobId": "nobody"`),
		"sound": jobJSON("sound", stepJSON("x", "echo"), never, `"alternateJobId": "plain"`), "plain": jobJSON("plain", stepJSON("x", "echo")),
	})
	for id, want := range map[string]string{
		"a": "alternateJobId leads in a circle: a, b, c, a", "b": "in a circle: b, c, a, b", "c": "in a circle: c, a, b, c",
		"lost": `alternateJobId is "nobody", expected a job that there is`, "sound": "", "plain": "",
	} {
		job, err := h.Get(id)
		if err != nil || !strings.Contains(job.Detail, want) || job.Enabled != (want == "") {
			t.Errorf("%s: %v %+v", id, err, job.Job)
		}
	}
}

// Two jobs that raise each other's events would go on for ever.
func TestAChainOfRunsEnds(t *testing.T) {
	h := newHarness(t, map[string]string{"j": jobJSON("j", `{"id": "a", "command": "again"}`, onEvent("E"))})
	h.commands["again"] = func(_ context.Context, run core.Principal, _ map[string]any) (map[string]any, error) {
		h.Service.Trigger(run, event("E", nil))
		return nil, nil
	}
	h.reload()
	h.Service.Trigger(core.Principal{Kind: core.Plugin, Name: "P"}, event("E", nil))
	h.end(maxChain - 1)
	if err := h.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if len(h.ended) != maxChain {
		t.Errorf("%d runs", len(h.ended))
	}
}

// A filter job answers who asked, with the context of the decision.
func TestEvaluate(t *testing.T) {
	h := newHarness(t, map[string]string{"filter": jobJSON("filter", `{"id": "a", "command": "judge", "arguments": "{FilePath}"}`), "slow": jobJSON("slow", stepJSON("a", "linger"))})
	asking, giveUp := context.WithCancel(t.Context())
	h.commands["linger"] = func(ctx context.Context, _ core.Principal, _ map[string]any) (map[string]any, error) {
		giveUp()
		<-ctx.Done()
		return nil, ctx.Err()
	}
	h.commands["judge"] = func(_ context.Context, _ core.Principal, params map[string]any) (map[string]any, error) {
		if args := params["arguments"].([]string); args[0] != "/usr/bin/id" {
			return nil, errors.New("not this one")
		}
		return nil, nil
	}
	h.reload()
	policy := core.Principal{Kind: core.Plugin, Name: "KeeperPolicy"}
	for path, passed := range map[string]bool{"/usr/bin/id": true, "/usr/bin/vim": false} {
		got, err := h.Evaluate(t.Context(), policy, "filter", map[string]any{"FilePath": path})
		if err != nil || got.Passed != passed || passed == strings.Contains(got.Reason, "not this one") {
			t.Errorf("%s: %+v %v", path, got, err)
		}
	}
	if _, err := h.Evaluate(asking, policy, "slow", nil); core.KindOf(err) != core.Unavailable {
		t.Errorf("slow: %v", err)
	}
	if e := h.end(2); e.err == nil {
		t.Error("it goes on")
	}
	if _, err := h.Evaluate(t.Context(), policy, "nobody", nil); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
}

// After a crash nothing runs again but what says that it may.
func TestResume(t *testing.T) {
	h := newHarness(t, map[string]string{
		"safe": jobJSON("safe", stepJSON("a", "echo"), `"rerunIfInterrupted": true`), "unsafe": jobJSON("unsafe", stepJSON("a", "echo")),
		"launch": jobJSON("launch", stepJSON("a", "echo"), onLaunch, `"rerunIfInterrupted": true`),
	})
	old := func(id, job, request string, context map[string]any) view.JobRun {
		return view.JobRun{ID: id, JobID: job, State: "interrupted", RequestID: core.RequestID(request), ContextIn: context, Trigger: view.JobTrigger{Kind: "event", Event: "E"}}
	}
	h.Resume([]view.JobRun{
		old("1", "unsafe", "", nil), old("2", "launch", "R1", nil), old("3", "SAFE", "", map[string]any{"Who": "ann"}),
		old("4", "safe", "", map[string]any{"Password": masked}), old("5", "gone", "", nil), old("6", "safe", "R1", nil),
	})
	h.end(0)
	if err := h.Close(context.Background()); err != nil {
		t.Error(err)
	}
	runs := h.history.all()
	if len(runs) != 1 || runs[0].ParentID != "3" || runs[0].Trigger.Kind != "rerun" || runs[0].ContextIn["Who"] != "ann" {
		t.Errorf("%+v", runs)
	}
}

// Files that change are read again, all at once, when they have settled.
func TestWatch(t *testing.T) {
	h := newHarness(t, map[string]string{"j": jobJSON("j", stepJSON("a", "echo"))})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		h.Watch(ctx)
	}()
	path := filepath.Join(h.cfg.Layout.Jobs(), "k.json")
	if err := os.WriteFile(path, []byte(jobJSON("k", stepJSON("a", "echo"))), 0o644); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(time.Millisecond) {
		if _, err := h.Get("k"); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("not noticed")
		}
	}
	cancel()
	<-done
}

func TestManage(t *testing.T) {
	h := newHarness(t, map[string]string{"old": jobJSON("old", stepJSON("a", "echo")), "broken": `{`})
	body := []byte(jobJSON("made", stepJSON("a", "echo"), onEvent("E")))
	job, err := h.Create(body)
	if err != nil || job.ID != "made" || !job.Enabled || job.Events[0] != "E" {
		t.Fatalf("%+v %v", job, err)
	}
	written, err := os.ReadFile(filepath.Join(h.cfg.Layout.Jobs(), "made.json"))
	if err != nil || string(written) != string(body)+"\n" {
		t.Errorf("%s %v", written, err)
	}
	h.Trigger(event("E", nil))
	if e := h.end(0); e.run.Name != "made" {
		t.Errorf("%+v", e)
	}
	if _, err := h.Create(body); !errors.Is(err, ErrExists) {
		t.Error(err)
	}
	if _, err := h.Create([]byte(jobJSON("KeeperPolicy", stepJSON("a", "echo")))); err == nil {
		t.Error("a job is called like a plugin")
	}
	if _, err := h.Create([]byte(jobJSON("../x", stepJSON("a", "echo")))); err == nil {
		t.Error("a job is written elsewhere")
	}
	// What is for another system is not looked at, but for its id: that is the file's name.
	const elsewhere = `{"id": "ID", "osFilter": {"windows": true}, "tasks": []}`
	if job, err := h.Create([]byte(strings.Replace(elsewhere, "ID", "for-windows", 1))); err != nil || job.Enabled {
		t.Errorf("%+v %v", job, err)
	}
	for _, id := range []string{"", "../appsettings", "a/b", `a\\b`, "a_b", "runs", strings.Repeat("x", 65), "KeeperPrivilegeManager"} {
		body := []byte(strings.Replace(elsewhere, "ID", id, 1))
		if v, err := h.Validate("", body); err == nil || !strings.Contains(err.Error(), "id is ") {
			t.Errorf("%s: %+v %v", id, v, err)
		}
		if _, err := h.Create(body); err == nil {
			t.Errorf("%s is made", id)
		}
		if _, err := h.Update("for-windows", body); err == nil {
			t.Errorf("%s is written", id)
		}
	}
	if _, err := h.Update("made", []byte(jobJSON("other", stepJSON("a", "echo")))); err == nil || !strings.Contains(err.Error(), `expected the file's name without .json, "made"`) {
		t.Error(err)
	}
	if _, err := h.Update("nobody", body); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	if job, err := h.Update("BROKEN", []byte(jobJSON("broken", stepJSON("a", "echo")))); err != nil || !job.Enabled {
		t.Errorf("%+v %v", job, err)
	}
	for id, want := range map[string]error{"made": nil, "old": nil, "for-windows": nil, "nobody": ErrUnknown} {
		if err := h.Delete(id); !errors.Is(err, want) {
			t.Errorf("%s: %v", id, err)
		}
	}
	if _, err := h.Get("made"); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
}

func TestExplain(t *testing.T) {
	h := newHarness(t, map[string]string{
		"j":      jobJSON("j", `{"id": "a", "command": "echo", "condition": "Depth > 3"}`, onEvent("Scan"), `"condition": {"field": "Who", "value": "ann"}`, `"parameters": [{"name": "Depth", "type": "int", "required": true}]`),
		"launch": jobJSON("launch", stepJSON("a", "echo"), onLaunch), "off": strings.Replace(jobJSON("off", stepJSON("a", "echo")), `"enabled": true`, `"enabled": false`, 1),
		"broken": `{`,
	})
	for _, tc := range []struct {
		id, event string
		context   map[string]any
		runs      bool
		why       string
	}{
		{"j", "Scan", map[string]any{"Who": "ann", "Depth": 5.0}, true, ""},
		{"j", "Scan", map[string]any{"Who": "ann", "Depth": 1.0}, true, "task a would be skipped as things are"},
		{"J", "", map[string]any{"Who": "bob", "Depth": 1.0}, false, `Who is "bob", expected equals "ann"`},
		{"j", "scan", map[string]any{"Who": "ann"}, false, "it does not name the event scan; it names Scan|events are told apart by letter case: Scan|Depth is missing"},
		{"launch", "", nil, false, "it cannot be started by name"},
		{"off", "", nil, false, "its file says enabled: false"},
		{"broken", "", nil, false, "its file is broken: "},
	} {
		got, err := h.Explain(tc.id, tc.event, tc.context)
		text := strings.Join(got.Reasons, "|")
		if err != nil || got.Runs != tc.runs {
			t.Errorf("%+v: %+v %v", tc, got, err)
		}
		for part := range strings.SplitSeq(tc.why, "|") {
			if !strings.Contains(text, part) {
				t.Errorf("%s %s: %q is not in %q", tc.id, tc.event, part, text)
			}
		}
	}
	if _, err := h.Explain("nobody", "", nil); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	if len(h.history.all()) > 0 {
		t.Error("something was started")
	}
}
