//go:build linux

package e2e

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"kpm/core/view"
	"kpm/vmtests/agent"
)

// unruly are tasks that leave their session, ignore signals, stop, write without end or
// what is no text, read what nobody writes, or leave somebody behind. State, reason and
// output are those of the run, the last two as expressions.
var unruly = []struct{ name, script, fields, state, reason, output string }{
	{"forks", "setsid sh -c 'setsid sleep 98765431 & sleep 98765432' &\nsleep 98765433", `"timeoutSeconds": 2`, "failed", "did not end within 2s", "^$"},
	{"deaf", "trap '' TERM HUP INT QUIT TSTP\nwhile :; do sleep 98765434; done", `"timeoutSeconds": 2`, "failed", "did not end within 2s", "^$"},
	{"stopped", "kill -STOP $$\nsleep 98765435", `"timeoutSeconds": 2`, "failed", "did not end within 2s", "^$"},
	{"endless", "head -c 400M /dev/zero\nhead -c 400M /dev/zero >&2\nexit 7", `"timeoutSeconds": 300`, "failed", "it exited with status 7", "^\uFFFD+$"},
	{"merged", "exec yes", `"timeoutSeconds": 300, "MergeStdoutJsonIntoContext": true`, "failed", "more than 1 MiB to stdout", ""},
	{"binary", `printf '\377\376 end \200'`, `"timeoutSeconds": 300`, "succeeded", "^$", "^\uFFFD\uFFFD end \uFFFD$"},
	{"reader", "cat\nread line || echo nothing", `"timeoutSeconds": 300`, "succeeded", "^$", "^nothing\n$"},
	{"leaves", "sleep 98765436 &\necho '{\"A\": 1}'", `"timeoutSeconds": 300, "MergeStdoutJsonIntoContext": true`, "succeeded", "^$", "A"},
}

// Each run ends as it should, with everything that its task has started, and the service
// stays small.
func TestUnrulyTasks(t *testing.T) {
	a := newAgent(t, allowAll, func(a *agent.Agent) {
		for _, tc := range unruly {
			install(t, a, "Jobs/bin/"+tc.name+"/"+tc.name, "#!/bin/sh\n"+tc.script+"\n")
			if err := a.Write("Jobs/"+tc.name+".json", fmt.Sprintf(`{"id": %q, "tasks": [{"id": "a", "command": %q, %s}]}`, tc.name, tc.name, tc.fields)); err != nil {
				t.Fatal(err)
			}
		}
	})
	runs := map[string]string{}
	for _, tc := range unruly {
		var started view.RunStarted
		if err := ask(t, a, "POST", "/api/Jobs/"+tc.name+"/run", &started); err != nil {
			t.Fatal(err)
		}
		runs[tc.name] = started.RunID
	}
	for _, tc := range unruly {
		t.Run(tc.name, func(t *testing.T) {
			var run view.JobRun
			for deadline := time.Now().Add(patience); run.EndedAt.IsZero(); time.Sleep(50 * time.Millisecond) {
				if err := ask(t, a, "GET", "/api/Jobs/runs/"+runs[tc.name], &run); err != nil {
					t.Fatal(err)
				}
				if time.Now().After(deadline) {
					t.Fatalf("no end: %+v", run)
				}
			}
			output := ""
			if len(run.Tasks) == 1 {
				output = run.Tasks[0].Output
			}
			if run.State != tc.state || !regexp.MustCompile(tc.reason).MatchString(run.Reason) || !regexp.MustCompile(tc.output).MatchString(output) {
				t.Errorf("%s (%s), printed %.200q", run.State, run.Reason, output)
			}
		})
	}
	for last := '1'; last <= '6'; last++ {
		left := []string{"sleep", "9876543" + string(last)}
		eventually(t, fmt.Sprintf("%q ends with its task", left), func() bool { return len(started(t, left...)) == 0 })
	}
	// 800 MB were written, and none of it kept.
	if peak := peakKB(t, a.PID()); peak > 200<<10 {
		t.Errorf("the service took %d KB", peak)
	}
}

// peakKB is the most memory that a process has had, in KB.
func peakKB(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		t.Fatalf("%s", status)
	}
	peak, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	return peak
}
