package admincli

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"kpm/core"
	"kpm/core/port"
	"kpm/core/view"
	"kpm/launcher/journal"
)

// answering is a root at whose socket routes are answered with these bodies, and
// everything else with a refusal.
func answering(t *testing.T, routes map[string]string) string {
	t.Helper()
	root := t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "run"), 0o755); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("unix", filepath.Join(root, "run", "api.sock"))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, ok := routes[r.Method+" "+r.URL.EscapedPath()]
		if !ok {
			w.WriteHeader(http.StatusInternalServerError)
			body = fmt.Sprintf(`{"status":500,"code":"fault","detail":"%s failed"}`, r.URL.Path)
		}
		io.WriteString(w, body)
	}))
	server.Listener.Close()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	return root
}

func TestStatusOfEveryPluginState(t *testing.T) {
	for state, fault := range map[view.PluginState]bool{
		view.Healthy: false, view.Starting: false, view.Stopping: false, view.Stopped: false,
		view.Unhealthy: true, view.Failed: true,
	} {
		r := newRunning(t, func(r *running) { r.plugins = []view.Plugin{{ID: "P", Status: state}} })
		code, out, diag := r.do(t, "status")
		want := "running, version 1.2.3, 1 plugins, 3 jobs (2 enabled)\n"
		if fault {
			want += "P is " + string(state) + "\n" // nothing after it: there is no detail
		}
		if firstPart(out) != want || (code == exitFault) != fault || diag != "" {
			t.Errorf("%s: %d %q %q", state, code, out, diag)
		}
	}
}

// Attack: a plugin ends with a message that goes on like the report.
func TestDetailsForgeNoLines(t *testing.T) {
	r := newRunning(t, func(r *running) {
		r.plugins = []view.Plugin{{ID: "P", Status: view.Failed, Detail: "x\nKeeperPolicy is Failed: gone\x1b[2J"}}
	})
	code, out, _ := r.do(t, "status")
	if code != exitFault || !strings.HasSuffix(firstPart(out), "\nP is Failed: x; KeeperPolicy is Failed: gone\uFFFD[2J\n") {
		t.Errorf("%d %q", code, out)
	}
	code, out, _ = r.do(t, "status", "--json")
	if code != exitFault || !strings.Contains(out, `"unhealthy":["P is Failed: x\nKeeperPolicy is Failed: gone\u001b[2J"]`) {
		t.Errorf("--json: %d %q", code, out)
	}
}

// Half an answer is none: a plugin that was not asked about is not healthy.
func TestStatusIsWholeOrNothing(t *testing.T) {
	answers := [][2]string{
		{"GET /", `{"service":"s","status":"running","version":"9"}`},
		{"GET /api/system/status", `{"status":"running","healthy":true,"plugins":1,"jobs":{"total":2,"enabled":1}}`},
		{"GET /api/plugins", `[]`},
	}
	const refused = "refused (fault): %s failed\n"
	for known, says := range []string{
		fmt.Sprintf(refused, "/"), fmt.Sprintf(refused, "/api/system/status"), fmt.Sprintf(refused, "/api/plugins"),
	} {
		routes := map[string]string{}
		for _, a := range answers[:known] {
			routes[a[0]] = a[1]
		}
		code, out, diag := do(t, "status", "--root", answering(t, routes))
		if code != exitUsage || out != "" || diag != "KeeperAdminCLI: "+says {
			t.Errorf("%d known: %d %q %q", known, code, out, diag)
		}
	}
	for status, code := range map[string]int{"running": exitOK, "stopping": exitFault, "": exitFault} {
		routes := map[string]string{answers[0][0]: answers[0][1], answers[2][0]: answers[2][1],
			answers[1][0]: strings.Replace(answers[1][1], "running", status, 1)}
		got, out, diag := do(t, "status", "--root", answering(t, routes))
		if got != code || out != status+", version 9, 1 plugins, 2 jobs (1 enabled)\n" || diag != "" {
			t.Errorf("%q: %d %q %q", status, got, out, diag)
		}
	}
}

// Somebody else's answer at the socket is not taken for the service's.
func TestStatusOfSomethingElse(t *testing.T) {
	for body, says := range map[string]string{
		"<html>":       "GET /: the answer is not JSON: is that the service?",
		`["x"]`:        "/: json: cannot unmarshal array into Go value of type view.Service",
		`{"status":1}`: "/: json: cannot unmarshal number into Go struct field Service.status of type string",
	} {
		code, out, diag := do(t, "status", "--root", answering(t, map[string]string{"GET /": body}))
		if code != exitUsage || out != "" || diag != "KeeperAdminCLI: "+says+"\n" {
			t.Errorf("%s: %d %q %q", body, code, out, diag)
		}
	}
}

// Whoever may not connect cannot tell whether the service runs, and must not be
// told that it does not.
func TestStatusForWhoMayNotConnect(t *testing.T) {
	cfg := altered(func(h *port.Host) { h.Transport = closed{h.Transport} })
	code, out, diag := doOn(cfg, "status", "--root", t.TempDir())
	if code != exitUsage || out != "" || diag != "KeeperAdminCLI: the service cannot be reached: permission denied; run this as root\n" {
		t.Errorf("%d %q %q", code, out, diag)
	}
}

type closed struct{ port.LocalTransport }

func (closed) Dial(string) (net.Conn, error) { return nil, syscall.EACCES }

// What an elevation would meet now is a fault, whatever the plugins are.
func TestStatusSaysWhatIsInTheWay(t *testing.T) {
	problems := []string{"nothing can be launched: job LaunchPrivilegeElevation: x.json:1: a\nb", "the journal cannot be written: no space left on device"}
	r := newRunning(t, func(r *running) { r.problems = problems })
	const counts = "running, version 1.2.3, 2 plugins, 3 jobs (2 enabled)\n"
	code, out, diag := r.do(t, "status")
	want := counts + "no elevation can succeed now:\n" +
		"nothing can be launched: job LaunchPrivilegeElevation: x.json:1: a; b\nthe journal cannot be written: no space left on device\n"
	if code != exitFault || firstPart(out) != want || diag != "" {
		t.Errorf("%d %q %q, want %q", code, out, diag, want)
	}
	if code, out, _ := r.do(t, "status", "--json"); code != exitFault || !strings.Contains(out, `"healthy":false,"problems":["nothing can be launched`) {
		t.Errorf("--json: %d %q", code, out)
	}

	r = newRunning(t, func(r *running) {
		r.problems, r.peer.is.User, r.peer.is.Administrator = problems, "1000", false
	})
	if code, out, _ := r.do(t, "status"); code != exitFault || out != counts+"no elevation can succeed now; run this as root to learn why\n" {
		t.Errorf("a user: %d %q", code, out)
	}
}

// Policies that are not kept are a fault, and no reason to say that nobody is elevated.
func TestStatusSaysWhichPoliciesAreNotKept(t *testing.T) {
	const lapse = "policies that say which programs may run are not kept: keeperexec has ended"
	const counts = "running, version 1.2.3, 2 plugins, 3 jobs (2 enabled)\n"
	r := newRunning(t, func(r *running) { r.lapses = []string{lapse} })
	if code, out, diag := r.do(t, "status"); code != exitFault || firstPart(out) != counts+lapse+"\n" || diag != "" {
		t.Errorf("%d %q %q", code, out, diag)
	}
	r = newRunning(t, func(r *running) { r.lapses, r.peer.is.User, r.peer.is.Administrator = []string{lapse}, "1000", false })
	if code, out, _ := r.do(t, "status"); code != exitFault || out != counts+"not all policies are kept now; run this as root to learn which\n" {
		t.Errorf("a user: %d %q", code, out)
	}
	for want, is := range map[string]view.Executions{
		"stopped before they run where policies say which may":                                       {On: true, Needed: true, Running: true},
		"NOT STOPPED before they run: keeperexec has ended":                                          {On: true, Needed: true, Fault: "keeperexec has ended"},
		"what stops them before they run is being started":                                           {On: true},
		"not stopped before they run, though policies say which may: Interception:Executions is off": {Needed: true},
		"not stopped before they run: Interception:Executions is off":                                {},
	} {
		if got := programsLine(is); got != want {
			t.Errorf("%+v: %q", is, got)
		}
	}
}

// firstPart is what "status" prints without what root is shown besides; of JSON,
// without its fields.
func firstPart(out string) string {
	if before, _, found := strings.Cut(out, "\nservice  "); found {
		return before + "\n"
	}
	if before, _, found := strings.Cut(out, `,"pluginStates":`); found {
		return before + "}\n"
	}
	return out
}

// One screen: whatever root has to know first.
func TestStatusOnOneScreen(t *testing.T) {
	r := newRunning(t)
	j := open(t, r.root)
	for i := range 7 {
		id := core.RequestID(fmt.Sprint("R", i))
		for _, record := range []journal.Record{
			{Type: journal.Opened, Request: id, User: "ada", Program: &core.Executable{Path: fmt.Sprintf("/usr/bin/tool%d", i)}},
			{Type: journal.Denied, Request: id, Message: "not this one"},
		} {
			if err := j.Append(record); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	r.write(t, "Policies/a.json", policyText("a", "ALLOW", "nobody", "/usr/bin/id"))
	r.write(t, "Policies/b.json", "{")
	code, out, diag := r.do(t, "status")
	for _, says := range []string{
		"running, version 1.2.3, 2 plugins, 3 jobs (2 enabled)\n", "service      process 812, up 1h1m1s, in /agent\n",
		"ports        HTTP 6888, HTTPS 6889, MQTT not held; 2 requests open\n", "certificate  CN=host.example, until 2027-01-02 03:04:05\n",
		"journal      records 1 to 40 in 1 segments, signed up to 38 1m", "identity     absent\n",
		"policies     1: 1 enforce, 1 faulty (KeeperAdminCLI policy lint)\n", "plugins      KeeperLogger Stopped, KeeperPolicy Healthy\n",
		" ada /usr/bin/tool6: denied: not this one\n", " ada /usr/bin/tool2: denied: not this one\n",
	} {
		if !strings.Contains(out, says) {
			t.Errorf("it lacks %q", says)
		}
	}
	if code != exitOK || diag != "" || strings.Contains(out, "tool1:") || strings.Count(out, "\n") > 24 {
		t.Errorf("%d %q\n%s", code, diag, out)
	}
	code, out, _ = r.do(t, "status", "--json")
	var shown status
	if err := json.Unmarshal([]byte(out), &shown); err != nil || code != exitOK || shown.Service.ProcessID != 812 ||
		shown.Identity.State != "absent" || shown.Policies.Faulty != 1 || len(shown.Refusals) != 5 || shown.Refusals[0].Program != "/usr/bin/tool6" {
		t.Errorf("%d %v %s", code, err, out)
	}
}
