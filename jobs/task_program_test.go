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
)

func program(fields ...string) string {
	return jobJSON("j", `{"id": "tool", "command": "mytool"`+strings.Join(append([]string{""}, fields...), ", ")+`}`)
}

func TestWhatAProgramIsStartedWith(t *testing.T) {
	for _, tc := range []struct {
		name, fields, root string
		argv               []string
		extraEnv           []string
	}{
		{"without arguments", `"name": "x"`, `"priority": 1`, nil, nil},
		{"with arguments", `"arguments": "--file={FilePath} 'x y' {KeeperApiBaseUrl}"`, `"priority": 1`,
			[]string{"--file=/a b/\"c\" --evil", "x y", "https://127.0.0.1:6889"}, nil},
		{"of a job that uses MQTT", `"name": "x"`, `"mqttTopics": {"allowedPublications": ["KeeperLogger"], "allowedSubscriptions": []}`, nil,
			[]string{"KEEPER_JOB_ID=j", "KEEPER_JOB_NAME=j job"}},
		{"of a job that says it uses none", `"name": "x"`, `"mqttTopics": {"allowedPublications": []}`, nil, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHarness(t, map[string]string{"j": jobJSON("j", `{"id": "tool", "command": "mytool", `+tc.fields+`}`, tc.root, onLaunch)})
			h.Trigger(event("LaunchPrivilegeElevation", map[string]any{"RequestId": "R1", "FilePath": `/a b/"c" --evil`}))
			e := h.end(0)
			if e.err != nil {
				t.Fatal(e.err)
			}
			spec, l := h.starter.started()[0], h.cfg.Layout
			path := l.JobBin("mytool", "")
			if spec.Path != path || !slices.Equal(spec.Argv, append([]string{path}, tc.argv...)) {
				t.Errorf("got %s %q", spec.Path, spec.Argv)
			}
			if spec.As != e.run || spec.Dir != l.Root() || spec.Stdin != nil {
				t.Errorf("got %+v", spec)
			}
			env := slices.DeleteFunc(slices.Clone(spec.Env), func(kv string) bool { return strings.HasPrefix(kv, "KEEPER_JOB_TOKEN=") })
			want := append(append(l.Environment([]string{"PATH=" + core.Linux.PathVariable()}, "https://127.0.0.1:6889"), "KEEPER_RUN_ID="+e.run.Run), tc.extraEnv...)
			want = append(want, `KEEPER_CTX_FILEPATH=/a b/"c" --evil`, "KEEPER_CTX_REQUESTID=R1")
			if !slices.Equal(env, want) || len(spec.Env) != len(want)+1 {
				t.Errorf("environment %q\nwant        %q", spec.Env, want)
			}
		})
	}
}

func TestHowAProgramEnds(t *testing.T) {
	for _, tc := range []struct {
		name, fields, stdout, stderr string
		exit                         core.ExitStatus
		want                         string
	}{
		{"well", `"name": "x"`, "anything", "chatter", core.ExitStatus{}, ""},
		{"with a status", `"name": "x"`, "", "no \x1b[2Jluck\n", core.ExitStatus{Code: 3}, "task tool: it exited with status 3: no \ufffd[2Jluck"},
		{"by a signal", `"name": "x"`, "", "", core.ExitStatus{Signal: 11}, "it was ended by signal 11"},
		{"with what can be merged", `"MergeStdoutJsonIntoContext": true`, ` {"A": 1} ` + "\n", "", core.ExitStatus{}, ""},
		{"with what cannot", `"MergeStdoutJsonIntoContext": true`, "done", "", core.ExitStatus{}, `stdout is "done", expected one JSON object`},
		{"with a list", `"MergeStdoutJsonIntoContext": true`, "[1]", "", core.ExitStatus{}, "expected one JSON object"},
		{"with null", `"MergeStdoutJsonIntoContext": true`, "null", "", core.ExitStatus{}, "expected one JSON object"},
		{"with nothing", `"MergeStdoutJsonIntoContext": true`, "", "", core.ExitStatus{}, "stdout is missing"},
		{"with two objects", `"MergeStdoutJsonIntoContext": true`, "{} {}", "", core.ExitStatus{}, "goes on after the JSON object"},
		{"badly, which is told before that", `"MergeStdoutJsonIntoContext": true`, "done", "", core.ExitStatus{Code: 3}, "it exited with status 3"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h := newHarness(t, map[string]string{"j": program(tc.fields)})
			h.starter.play = func(spec core.ServiceSpec) *core.ExitStatus {
				fmt.Fprint(spec.Stdout, tc.stdout)
				fmt.Fprint(spec.Stderr, tc.stderr)
				return &tc.exit
			}
			err := h.runNow("j", nil)
			if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if h.starter.procs[0].kills != 1 {
				t.Error("the launch group was not ended")
			}
		})
	}
}

func TestWhatAFailingProgramPrintedReachesTheFailureRoute(t *testing.T) {
	h := newHarness(t, map[string]string{"j": jobJSON("j",
		`{"id": "tool", "command": "mytool", "MergeStdoutJsonIntoContext": true, "OnFailure": "look"}, {"id": "look", "command": "see", "arguments": "{Target}"}`)})
	h.starter.play = func(spec core.ServiceSpec) *core.ExitStatus {
		fmt.Fprint(spec.Stdout, `{"Target": 12345678901234567890}`)
		return &core.ExitStatus{Code: 10}
	}
	var seen any
	h.commands["see"] = func(_ context.Context, _ core.Principal, params map[string]any) (map[string]any, error) {
		seen = params["arguments"]
		return nil, nil
	}
	h.reload()
	if err := h.runNow("j", nil); err != nil {
		t.Fatal(err)
	}
	if got, ok := seen.([]string); !ok || !slices.Equal(got, []string{"12345678901234567890"}) {
		t.Errorf("got %v", seen)
	}
}

func TestAProgramIsKilledWhenItsTimeIsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, map[string]string{"j": program(`"timeoutSeconds": 7`)})
		h.starter.play = func(spec core.ServiceSpec) *core.ExitStatus {
			fmt.Fprintln(spec.Stderr, "still thinking")
			return nil
		}
		begun := time.Now()
		err := h.runNow("j", nil)
		if took := time.Since(begun); took != 7*time.Second || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "still thinking") {
			t.Errorf("ended after %v with %v", took, err)
		}
		if got := h.starter.procs[0].status.Signal; got != 9 {
			t.Errorf("ended by signal %d", got)
		}
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestProgramsAreBounded(t *testing.T) {
	const programs = 64
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t, map[string]string{"j": program(`"timeoutSeconds": 7`)})
		h.starter.play = func(core.ServiceSpec) *core.ExitStatus { return nil }
		for range programs + 1 {
			if _, err := h.Run(context.Background(), "j", nil); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		if got := len(h.starter.started()); got != programs {
			t.Errorf("%d programs run, want %d", got, programs)
		}
		if err := h.starter.procs[0].Kill(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := len(h.starter.started()); got != programs+1 {
			t.Errorf("%d programs were started, want the last one in the place of the first", got)
		}
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
}

func TestAProgramThatMayNotBeStarted(t *testing.T) {
	h := newHarness(t, map[string]string{"j": program()})
	h.starter.err = fmt.Errorf("Jobs/bin/mytool is writable by group 4242: %w", core.ErrNotProtected)
	if err := h.runNow("j", nil); !errors.Is(err, core.ErrNotProtected) {
		t.Errorf("got %v", err)
	}
}

func TestATaskThatAsksForAnAddressThatIsNotHeld(t *testing.T) {
	h := newHarness(t, map[string]string{"j": program(`"arguments": "{KeeperApiBaseUrl}"`)})
	h.cfg.APIBaseURL = func() string { return "" }
	h.reload()
	if err := h.runNow("j", nil); !errors.Is(err, errNoBaseURL) {
		t.Errorf("got %v", err)
	}
}

// Programs find the context in their environment: what the run was started with
// before what tasks have said, and nothing that an environment cannot hold.
func TestTheContextInTheEnvironment(t *testing.T) {
	v := newVars(map[string]any{"FilePath": "/a b", "Long": strings.Repeat("x", maxVariable), "NUL": "a\x00b", "Count": 7, "a.b": "dot"}, []parameter{{name: "Mode", fallback: "fast"}, {name: "FilePath", fallback: "/default"}})
	if _, err := v.learn(map[string]any{"Found": []any{"x"}, "A-B": "another", "File_Path": "mine"}); err != nil {
		t.Fatal(err)
	}
	want := []string{"KEEPER_CTX_A_B=another", "KEEPER_CTX_COUNT=7", "KEEPER_CTX_FILEPATH=/a b", "KEEPER_CTX_FILE_PATH=mine", `KEEPER_CTX_FOUND=["x"]`, "KEEPER_CTX_MODE=fast"}
	got := v.environment()
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %.300q", got)
	}
	for i := range 100 {
		if _, err := v.learn(map[string]any{fmt.Sprint("n", i): strings.Repeat("x", maxVariable/2)}); err != nil {
			t.Fatal(err)
		}
	}
	size := 0
	for _, entry := range v.environment() {
		size += len(entry)
	}
	if size > maxEnvironment {
		t.Errorf("%d bytes", size)
	}
}
