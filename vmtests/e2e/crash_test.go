//go:build linux

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"kpm/core"
	"kpm/vmtests/agent"
)

const (
	// allowAll says only what every revision understands: `make fails-on` is to have a
	// test fail for what it is about. It grants root, and nobody else's rights.
	allowAll   = `{"PolicyId":"all","PolicyName":"Everything","PolicyType":"PrivilegeElevation","Status":"enforce","Actions":{"OnSuccess":{"Controls":["ALLOW"]}},"UserCheck":["*"],"MachineCheck":["*"],"ApplicationCheck":["*"]}`
	justifyAll = `{"PolicyId":"why","PolicyName":"Say why","PolicyType":"PrivilegeElevation","Status":"enforce","Actions":{"OnSuccess":{"Controls":["JUSTIFY"]}},"UserCheck":["*"],"MachineCheck":["*"],"ApplicationCheck":["*"]}`

	// helpers are those that the service holds ready, and the one that they are
	// forked from.
	helpers = 2 + 1

	// slowLaunch holds a request in Allowed: its first task never ends.
	slowLaunch = `{"id":"LaunchPrivilegeElevation","name":"Launch, slowly","enabled":true,
 "events":[{"eventType":"Custom","customEvent":"LaunchPrivilegeElevation"}],
 "tasks":[{"id":"wait","ExecutionType":"Service","command":"wait","arguments":"100","timeoutSeconds":100}]}`
)

// asAnybody has policies grant the rights of every user.
func asAnybody(policies string) string {
	return strings.ReplaceAll(policies, `"MachineCheck"`, `"TargetUserCheck":["*"],"MachineCheck"`)
}

// reachable is a directory of the test's own that other users may pass.
func reachable(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// laidOut is an agent of the test's own that is not started.
func laidOut(t *testing.T, policy string) *agent.Agent {
	t.Helper()
	staged, err := agent.Staged()
	if err != nil {
		t.Fatal(err)
	}
	a, err := agent.New(staged, reachable(t), map[string]string{"policy.json": policy})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// newAgent is a running agent of its own with one policy and changes to files.
func newAgent(t *testing.T, policy string, change func(a *agent.Agent)) *agent.Agent {
	t.Helper()
	a := laidOut(t, policy)
	if change != nil {
		change(a)
	}
	t.Cleanup(func() {
		_ = a.Kill()
		if log := a.Log(); t.Failed() {
			t.Logf("the service said, at last:\n%s", log[max(0, len(log)-16<<10):])
		}
	})
	if _, err := a.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	return a
}

// running lists the processes whose command line holds text.
func running(t *testing.T, text string) []int {
	t.Helper()
	entries, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	var found []int
	for _, entry := range entries {
		line, err := os.ReadFile(entry)
		if err != nil || !bytes.Contains(line, []byte(text)) {
			continue
		}
		var pid int
		fmt.Sscanf(entry, "/proc/%d/", &pid)
		found = append(found, pid)
	}
	return found
}

// started lists the processes that run exactly argv, and not those that only
// speak of it, as the caller does.
func started(t *testing.T, argv ...string) []int {
	t.Helper()
	line := strings.Join(argv, "\x00") + "\x00"
	return slices.DeleteFunc(running(t, line), func(pid int) bool {
		whole, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		return err != nil || string(whole) != line
	})
}

// freeze stops a process and returns when the kernel has stopped it: a signal
// alone would let it finish what it is doing.
func freeze(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, fmt.Sprintf("%d is stopped", pid), func() bool {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		for _, thread := range threads {
			stat, _ := os.ReadFile(thread)
			if _, state, _ := strings.Cut(string(stat), ") "); !strings.HasPrefix(state, "T") {
				return false
			}
		}
		return len(threads) > 0
	})
}

// descends reports whether pid is root or a descendant of it.
func descends(pid, root int) bool {
	for pid > 1 && pid != root {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil {
			return true // ended meanwhile
		}
		_, rest, _ := strings.Cut(string(status), "PPid:")
		if _, err := fmt.Sscan(rest, &pid); err != nil {
			return false
		}
	}
	return pid == root
}

// eventually waits for a condition that nothing announces.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// record is what these tests read of a journal record.
type record struct {
	Type    string `json:"type"`
	Request string `json:"request"`
}

// journal returns the records of every request, oldest first.
func journal(t *testing.T, a *agent.Agent) map[string][]string {
	t.Helper()
	out, err := a.Admin(t.Context(), "audit", "tail", "-n", "100000", "--json")
	if err != nil {
		t.Fatal(err)
	}
	types := map[string][]string{}
	for line := range strings.Lines(out) {
		var r record
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if r.Request != "" {
			types[r.Request] = append(types[r.Request], r.Type)
		}
	}
	return types
}

// final reports whether a request's records end in one final state, once.
func final(types []string) bool {
	ends := 0
	for _, t := range types {
		if t == "ended" || t == "denied" || t == "expired" || t == "failed" {
			ends++
		}
	}
	return ends == 1
}

// allFinal waits until each request has come to one end, and says which has not.
func allFinal(t *testing.T, a *agent.Agent) {
	t.Helper()
	eventually(t, "each request has come to one end", func() bool {
		for id, types := range journal(t, a) {
			if !final(types) {
				t.Logf("request %s has records %v", id, types)
				return false
			}
		}
		return true
	})
}

func has(a *agent.Agent, text string) bool {
	files, _ := filepath.Glob(filepath.Join(a.Root, "Audit", "*"))
	for _, f := range files {
		if data, _ := os.ReadFile(f); bytes.Contains(data, []byte(text)) {
			return true
		}
	}
	return false
}

// TestKilledAtEachState walks kill -9 of the service through every state of a
// request. Its caller asks again at the next service: what had not been let go
// is asked anew, what ran goes on, and nothing runs twice. Each round shows from
// the journal that the kill met the state it is about.
func TestKilledAtEachState(t *testing.T) {
	stopPolicy := func(t *testing.T, a *agent.Agent) {
		p, err := a.Plugin(t.Context(), "KeeperPolicy")
		if err != nil {
			t.Fatal(err)
		}
		freeze(t, p.ProcessID)
		t.Cleanup(func() { _ = syscall.Kill(p.ProcessID, syscall.SIGKILL) })
	}
	var held []int
	stopHeld := func(t *testing.T, a *agent.Agent) {
		// The plugins have used some up, which are being replaced, and one that
		// was only just started has not said its name yet.
		eventually(t, "all helpers wait", func() bool {
			held = children(t, a, "keeperlaunch")
			return len(held) == helpers
		})
		for _, pid := range held {
			freeze(t, pid)
		}
	}
	for _, tc := range []struct {
		state   string
		records string // of the request when the service is killed
		runs    int    // commands, by then
		policy  string
		change  func(a *agent.Agent)
		before  func(t *testing.T, a *agent.Agent)
		reached func(a *agent.Agent, marker string) bool
		between func(a *agent.Agent) // the kill and the restart: what held it up is gone
	}{
		{state: "Evaluating", records: "opened evaluating", policy: allowAll, before: stopPolicy,
			reached: func(a *agent.Agent, _ string) bool { return has(a, `"evaluating"`) }},
		{state: "Pending", records: "opened evaluating pending", policy: justifyAll,
			change: func(a *agent.Agent) {
				// A control job that takes its time, since nobody sits at a terminal.
				_ = a.Write("Jobs/privilege-elevation-policy-controls.json", strings.NewReplacer(
					`"id":"LaunchPrivilegeElevation"`, `"id":"privilege-elevation-policy-controls"`,
					`"customEvent":"LaunchPrivilegeElevation"`, `"customEvent":"PolicyEvaluationPending"`).Replace(slowLaunch))
			},
			reached: func(a *agent.Agent, _ string) bool { return has(a, `"pending"`) },
			between: func(a *agent.Agent) { _ = a.Write("Policies/policy.json", allowAll) }},
		{state: "Allowed", records: "opened evaluating allowed", policy: allowAll,
			change: func(a *agent.Agent) {
				_ = a.Write("Jobs/LaunchPrivilegeElevation.json", slowLaunch)
			},
			reached: func(a *agent.Agent, _ string) bool { return has(a, `"allowed"`) },
			between: func(a *agent.Agent) { _ = os.Remove(filepath.Join(a.Root, "Jobs/LaunchPrivilegeElevation.json")) }},
		{state: "Launching", records: "opened evaluating allowed launching launched", policy: allowAll, before: stopHeld,
			reached: func(a *agent.Agent, _ string) bool { return has(a, `"launched"`) }}, // on record before it is let go
		{state: "Running", records: "opened evaluating allowed launching launched", runs: 1, policy: allowAll,
			reached: func(a *agent.Agent, marker string) bool { return len(started(t, "sleep", marker)) > 0 }},
	} {
		t.Run(tc.state, func(t *testing.T) {
			a := newAgent(t, tc.policy, func(a *agent.Agent) {
				installWait(t, a)
				if tc.change != nil {
					tc.change(a)
				}
			})
			if tc.before != nil {
				tc.before(t, a)
			}
			marker := fmt.Sprintf("9%08d", time.Now().UnixNano()%1e8)
			var said bytes.Buffer
			caller := a.Sudo(t.Context(), 4242, "sleep", marker)
			caller.Stderr = &said
			if err := caller.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if t.Failed() {
					_ = caller.Process.Kill()
					t.Logf("the caller ended with %v and was told %q\n%v", caller.Wait(), &said, journal(t, a))
				}
			}()
			eventually(t, tc.state, func() bool { return tc.reached(a, marker) })
			if err := a.Kill(); err != nil {
				t.Fatal(err)
			}
			before := started(t, "sleep", marker)
			if len(before) != tc.runs {
				t.Fatalf("the kill missed: %d commands run", len(before))
			}
			first := core.RequestID("")
			for id, types := range journal(t, a) {
				if first = core.RequestID(id); strings.Join(types, " ") != tc.records {
					t.Fatalf("the kill missed: request %s has records %v", id, types)
				}
			}
			for _, pid := range held {
				_ = syscall.Kill(pid, syscall.SIGCONT)
			}
			held = nil
			if tc.between != nil {
				tc.between(a)
			}
			if _, err := a.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
			var runs []int
			eventually(t, "the command runs", func() bool { runs = started(t, "sleep", marker); return len(runs) > 0 })
			if tc.runs > 0 && !slices.Equal(runs, before) {
				t.Errorf("before the kill %v ran, now %v", before, runs)
			}
			eventually(t, "no plugin and no task of the service that was killed runs", func() bool {
				for _, pid := range running(t, a.Root) {
					if cmdline, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)); !descends(pid, a.PID()) && pid != caller.Process.Pid && len(cmdline) > 0 {
						return false
					}
				}
				return true
			})
			if err := syscall.Kill(runs[0], syscall.SIGUSR1); err != nil {
				t.Fatal(err)
			}
			err := caller.Wait()
			if status := caller.ProcessState.ExitCode(); status != 128+int(syscall.SIGUSR1) || said.Len() > 0 {
				t.Errorf("the caller ended with %d (%v) and was told %q", status, err, &said)
			}
			requests := journal(t, a)
			// A helper that is stopped runs nothing, and may have been let go.
			goesOn := tc.runs > 0 || tc.state == "Launching" && len(requests) == 1
			want := map[bool]string{true: tc.records + " ended", false: tc.records + " failed"}[goesOn]
			if got := strings.Join(requests[string(first)], " "); got != want {
				t.Errorf("after the restart the request has records %s", got)
			}
			delete(requests, string(first))
			for id, types := range requests {
				if got := strings.Join(types, " "); got != whole || goesOn {
					t.Errorf("request %s has records %s", id, got)
				}
			}
			if more := map[bool]int{true: 0, false: 1}[goesOn]; len(requests) != more {
				t.Errorf("there are %d more requests", len(requests))
			}
			if out, err := a.Admin(t.Context(), "audit", "verify"); err != nil {
				t.Errorf("%v: %s", err, out)
			}
			// And it works again.
			if tc.state == "Running" || tc.state == "Evaluating" || tc.state == "Launching" {
				if out, err := a.Sudo(t.Context(), 4242, "id", "-u").CombinedOutput(); err != nil || string(out) != "0\n" {
					t.Errorf("after the restart: %v: %s", err, out)
				}
			}
		})
	}
}

// installWait puts a task program called wait into Jobs/bin: it sleeps.
func installWait(t *testing.T, a *agent.Agent) {
	t.Helper()
	sleep, err := exec.LookPath("sleep")
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(sleep)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(a.Root, "Jobs", "bin", "wait")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "wait"), data, 0o755); err != nil {
		t.Fatal(err)
	}
}

// TestPolicyDiesWhileItDecides: the question is asked once more of its
// successor, and the caller notices nothing but the delay.
func TestPolicyDiesWhileItDecides(t *testing.T) {
	a := newAgent(t, allowAll, nil)
	before, err := a.Plugin(t.Context(), "KeeperPolicy")
	if err != nil {
		t.Fatal(err)
	}
	freeze(t, before.ProcessID)
	var out bytes.Buffer
	caller := a.Sudo(t.Context(), 4242, "id", "-u")
	caller.Stdout, caller.Stderr = &out, &out
	if err := caller.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "evaluating", func() bool { return has(a, `"evaluating"`) })
	if err := syscall.Kill(before.ProcessID, syscall.SIGKILL); err != nil && err != syscall.ESRCH { // it may have been replaced by now
		t.Fatal(err)
	}
	if err := caller.Wait(); err != nil || out.String() != "0\n" {
		t.Errorf("%v: %s\n%s", err, out.String(), a.Log())
	}
}

// TestPolicyHangs: no decision within the deadline is a denial, if what replaces
// the KeeperPolicy that hangs does not answer either.
func TestPolicyHangs(t *testing.T) {
	a := newAgent(t, allowAll, func(a *agent.Agent) {
		_ = a.Write("appsettings.json", `{"Settings":{"KestrelHttpPort":0,"KestrelHttpsPort":0},"MqttBrokerSettings":{"Port":0},"Requests":{"EvaluateSeconds":1}}`)
	})
	p, err := a.Plugin(t.Context(), "KeeperPolicy")
	if err != nil {
		t.Fatal(err)
	}
	install(t, a, "Plugins/bin/KeeperPolicy/KeeperPolicy", "#!/bin/sh\nexec sleep 1000\n")
	freeze(t, p.ProcessID)
	defer syscall.Kill(p.ProcessID, syscall.SIGKILL)
	marker := filepath.Join(t.TempDir(), "made")
	out, err := a.Sudo(t.Context(), 4242, "touch", marker).CombinedOutput()
	if err == nil {
		t.Errorf("allowed without a decision: %s", out)
	}
	if _, err := os.Stat(marker); err == nil {
		t.Errorf("it ran")
	}
}
