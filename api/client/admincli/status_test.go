package admincli

import (
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

	"kpm/core/port"
	"kpm/core/view"
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
		if out != want || (code == exitFault) != fault || diag != "" {
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
	if code != exitFault || !strings.HasSuffix(out, "\nP is Failed: x; KeeperPolicy is Failed: gone\uFFFD[2J\n") {
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
	if code != exitFault || out != want || diag != "" {
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
