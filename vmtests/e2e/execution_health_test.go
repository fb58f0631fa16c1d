//go:build linux

package e2e

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"kpm/vmtests/agent"
	"kpm/vmtests/apart"
)

// listening is what a user hears on GET /api/notices, from when they miss nothing.
func listening(t *testing.T, a *agent.Agent, uid uint32) *screen {
	t.Helper()
	cmd := a.Sudo(t.Context(), uid)
	cmd.Path, cmd.Args = "/usr/bin/curl", []string{"curl", "-sN", "--unix-socket", filepath.Join(a.Root, "run/api.sock"), "http://localhost/api/notices"}
	out := &screen{}
	cmd.Stdout = out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	eventually(t, "the service listens to whoever listens", func() bool { return out.String() != "" })
	return out
}

// TestWhoIsKeptFromAProgramHearsOfIt: which program, by which policy, and what they can
// do; and nobody else hears of it.
func TestWhoIsKeptFromAProgramHearsOfIt(t *testing.T) {
	dir := programs(t, "no", "ask")
	no, ask := filepath.Join(dir, "no"), filepath.Join(dir, "ask")
	a := newAgent(t, "["+typed("FileAccess", "never", "DENY", no, "")+","+typed("FileAccess", "reason", "JUSTIFY", ask, "")+"]", func(a *agent.Agent) {
		if err := a.Write("appsettings.json", `{"Interception": {"Executions": true, "Mounts": ["`+dir+`"]}, "Requests": {"Contacts": ["the desk"]}}`); err != nil {
			t.Fatal(err)
		}
	})
	if err := apart.Person(4244); err != nil {
		t.Fatal(err)
	}
	person, other := listening(t, a, 4242), listening(t, a, 4244)
	eventually(t, "programs are stopped", func() bool { return !executed(t, 4242, no) && !executed(t, 4242, ask) })
	eventually(t, "the person hears of both", func() bool { return strings.Count(person.String(), "event: execution-refused") >= 2 })
	for _, want := range []string{
		no + ` was not started: policy \"Policy never\" denies it. If you need it, ask the desk`,
		ask + ` was not started: policy \"Policy reason\" asks for JUSTIFY first. keepersudo --file-access ` + ask + ` asks you for that`,
	} {
		if !strings.Contains(person.String(), want) {
			t.Errorf("%q is missing in %s", want, person.String())
		}
	}
	for range 3 {
		executed(t, 4242, ask) // which is decided about each time
	}
	executed(t, 4244, no)
	eventually(t, "the other hears of their own", func() bool { return strings.Contains(other.String(), no) })
	if strings.Contains(other.String(), ask) || strings.Count(person.String(), "event: execution-refused") >= 5 { // each once a minute
		t.Errorf("the person heard %s\nthe other heard %s", person.String(), other.String())
	}
}

// TestPoliciesAboutProgramsThatAreNotKept: where policies need keeperexec and it does not
// run, the service is not healthy, and says why.
func TestPoliciesAboutProgramsThatAreNotKept(t *testing.T) {
	dir := programs(t, "no")
	no := filepath.Join(dir, "no")
	a := newAgent(t, "["+typed("FileAccess", "never", "DENY", no, "")+"]", gated(t, dir))
	eventually(t, "programs are stopped", func() bool { return !executed(t, 4242, no) })
	says := func(want int, text string) {
		t.Helper()
		eventually(t, "health is as it should be", func() bool { return healthy(t, a) == (want == 0) })
		out, err := a.Admin(t.Context(), "status")
		if (err == nil) != (want == 0) || !strings.Contains(out, text) {
			t.Errorf("status: %v, expected %q in\n%s", err, text, out)
		}
		stopped := "kpm_executions_stopped 1\n"
		if want != 0 {
			stopped = "kpm_executions_stopped 0\n"
		}
		if page := metricsOf(t, a); !strings.Contains(page, "kpm_executions_wanted 1\n") || !strings.Contains(page, stopped) {
			t.Errorf("metrics: %s", page)
		}
	}
	says(0, "stopped before they run where policies say which may")
	if out, err := a.Admin(t.Context(), "interception", "disable", "exec"); err != nil {
		t.Fatal(out, err)
	}
	says(1, "policies that say which programs may run are not kept: ")
	if !executed(t, 4242, no) {
		t.Error("it is disabled, and programs are stopped")
	}
	if out, err := a.Admin(t.Context(), "interception", "enable", "exec"); err != nil {
		t.Fatal(out, err)
	}
	again(t, a, func() {})
	eventually(t, "programs are stopped again", func() bool { return !executed(t, 4242, no) })
	says(0, "stopped before they run where policies say which may")
}

// metricsOf is what the agent measures.
func metricsOf(t *testing.T, a *agent.Agent) string {
	t.Helper()
	client := a.Client()
	defer client.CloseIdleConnections()
	answer, err := client.Get("http://localhost/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%v: %s", err, answer.Status)
	}
	return string(text)
}
