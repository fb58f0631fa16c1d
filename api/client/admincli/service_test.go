package admincli

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kpm/api"
	"kpm/core"
	"kpm/core/signal"
	"kpm/core/view"
	"kpm/launcher"
	"kpm/trust"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// peer is who connects to the test's service: root, unless a test says
// somebody else. Who that is, is decided as the service decides it.
type peer struct{ is core.Peer } // is does not change while it serves

func (p *peer) User(net.Conn) (core.UserID, error) { return p.is.User, nil }

func (p *peer) Peer(net.Conn) (core.Peer, error) { return p.is, nil }

func (p *peer) Identify(peer core.Peer) (core.Principal, core.ProcessID) {
	if peer.Administrator {
		return core.Principal{Kind: core.Admin, User: peer.User}, core.ProcessID{}
	}
	return core.Principal{Kind: core.User, User: peer.User}, core.ProcessID{}
}

// answers are what the API asks.
type answers struct {
	problems []string
	lapses   []string
	plugins  []view.Plugin
	jobs     []view.Job // nil: three
	stored   map[string]view.Setting
	ran      []string

	diagnoses []view.Diagnosis
	checks    []view.Check // of KeeperPolicy
	filters   []view.JobRunFilter
}

// Obstacles implements api.Health.
func (r *answers) Obstacles() []string { return r.problems }

// Lapses implements api.Health.
func (r *answers) Lapses() []string { return r.lapses }

type pluginList struct{ *answers }

func (p pluginList) List() []view.Plugin { return p.plugins }

func (p pluginList) Health(id string) (view.PluginHealth, error) {
	for _, one := range p.plugins {
		if one.ID == id {
			return view.PluginHealth{ID: id, Status: one.Status, ProcessID: one.ProcessID, Detail: one.Detail}, nil
		}
	}
	return view.PluginHealth{}, core.NewError(core.NotFound, "no such plugin")
}

func (p pluginList) Monitoring() view.Monitoring {
	m := view.Monitoring{Plugins: []view.PluginHealth{}}
	for _, one := range p.plugins {
		m.Plugins = append(m.Plugins, view.PluginHealth{ID: one.ID, Status: one.Status, Detail: one.Detail, LastStderr: []string{one.Detail}})
	}
	return m
}

func (p pluginList) do(what, id string) error {
	if _, err := p.Health(id); err != nil {
		return err
	}
	p.ran = append(p.ran, what+" "+id)
	return nil
}

func (p pluginList) StartPlugin(_ context.Context, id string) error   { return p.do("start", id) }
func (p pluginList) StopPlugin(_ context.Context, id string) error    { return p.do("stop", id) }
func (p pluginList) RestartPlugin(_ context.Context, id string) error { return p.do("restart", id) }

func (p pluginList) Reload(context.Context) (view.PluginsReloaded, error) {
	none := []string{}
	return view.PluginsReloaded{Added: []string{"MyBridge"}, Removed: none, Restarted: none, Settings: none, Broken: map[string]string{"Bad": "not JSON"}}, nil
}

func (r *answers) Unapproved() ([]view.Unapproved, error) {
	return []view.Unapproved{{Path: "Plugins/A.json", Change: "changed", Found: "aa", Good: "bb"}}, nil
}

func (r *answers) Approve(_ core.Principal, id string) (view.Approved, error) {
	r.ran = append(r.ran, "approve "+id)
	return view.Approved{Approved: []string{"Plugins/A.json"}}, nil
}

func (r *answers) Check(_ context.Context, id string) ([]view.Check, error) {
	if _, err := (pluginList{r}).Health(id); err != nil {
		return nil, err
	}
	if id != "KeeperPolicy" {
		return []view.Check{{Item: 1, Title: "the program is there", Outcome: view.Pass, Found: "/y"}}, nil
	}
	if r.checks != nil {
		return r.checks, nil
	}
	return []view.Check{
		{Item: 1, Title: "the program is there", Outcome: view.Pass, Found: "/x"},
		{Item: 2, Title: "a topic", Outcome: view.Fail, Found: "none", Remedy: "add one"},
	}, nil
}

func (r *answers) CheckFile(_ context.Context, id string, body []byte) ([]view.Check, error) {
	return []view.Check{{Item: 1, Title: id, Outcome: view.Pass, Found: string(body)}}, nil
}

func (r *answers) Diagnose(context.Context) []view.Diagnosis { return r.diagnoses }

func (r *answers) Topics() view.Topics {
	return view.Topics{
		Speakers: []view.Speaker{{Name: "A", Kind: "plugin", Topic: "A", Publish: []string{"KeeperLogger"}, Subscribe: []string{"A", "A/+"}, Subscribed: []string{"A"}, Connections: 1}},
		Refusals: []view.Refusal{{Principal: "A", Operation: "publish", Topic: "B", Reason: "not declared", Missing: "metadata.mqttTopics.publish", Count: 3}},
		Dropped:  []view.Dropped{{Cause: "queue-full", Why: "its queue was full", Messages: 7}},
	}
}

func (r *answers) Sections() map[string]map[string]json.RawMessage {
	return map[string]map[string]json.RawMessage{"Settings": {"KestrelHttpPort": json.RawMessage("6888")}}
}

// applicationAnswers are the answers about the whole service.
type applicationAnswers struct{ *answers }

func (a applicationAnswers) ReloadPolicies(ctx context.Context) view.Reloaded { return a.Reload(ctx) }

func (a applicationAnswers) Reload(context.Context) view.Reloaded {
	done := view.Reloaded{Settings: []string{"Settings:system.logging.level"}, RestartRequired: []string{}, Jobs: []string{"cleanup"}, Problems: a.problems}
	done.Plugins, _ = pluginList(a).Reload(context.Background())
	return done
}

func (r *answers) Change(_ context.Context, _ core.Principal, body []byte) (view.ApplicationSettingsPut, error) {
	r.ran = append(r.ran, "app "+string(body))
	return view.ApplicationSettingsPut{Changed: []string{}, RestartRequired: []string{"Settings:KestrelHttpPort"}}, nil
}

// settingAnswers are the answers about settings: those about jobs explain too.
type settingAnswers struct{ *answers }

func (r settingAnswers) Explain(plugin string) (map[string]view.Setting, bool) {
	settings, ok := map[string]map[string]view.Setting{
		"KeeperPrivilegeManager": {
			"broker.port": {Value: "8675", Source: "service"}, "broker.host": {Value: "127.0.0.1", Source: "service"},
			"odd": {Value: "a\u202eb", Source: "stored", By: "Admin-0"},
		},
	}[plugin]
	maps.Copy(settings, r.stored)
	return settings, ok
}

func (r *answers) Secret(string, string) bool { return false }

func (r *answers) Put(_ context.Context, _ core.Principal, plugin, key, value string) error {
	r.ran = append(r.ran, "put "+plugin+" "+key+"="+value)
	return nil
}

func (r *answers) Revert(_ core.Principal, plugin string) ([]string, error) {
	return []string{"odd"}, nil
}

func (r *answers) RevertAll(core.Principal) (map[string][]string, error) {
	return map[string][]string{"A": {"x"}}, nil
}

func (r *answers) Launch(context.Context, core.Principal, core.RequestID) error     { return nil }
func (r *answers) Substitute(context.Context, core.Principal, core.RequestID) error { return nil }

func (r *answers) LaunchInSession(context.Context, core.Principal, core.RequestID, core.RunAs) error {
	return nil
}

func (r *answers) Refuse(core.Principal, core.RequestID, string) error { return nil }

func (r *answers) Elevate(context.Context, launcher.Submission, launcher.Caller, <-chan signal.Sent) launcher.Result {
	return launcher.Result{}
}

// running is a root whose service answers.
type running struct {
	*answers
	root, port string
	peer       *peer
	server     *api.Server
	// administrators is what the service wants of them.
	administrators api.Administrators
}

func (r *running) stop() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	r.server.Close(ctx)
}

func newRunning(t *testing.T, change ...func(*running)) *running {
	t.Helper()
	r := &running{root: t.TempDir(), answers: &answers{}, peer: &peer{is: core.Peer{
		User: "0", Administrator: true, SameIdentity: true, Processes: []core.ProcessID{{PID: 2, Start: 2}}}}}
	r.plugins = []view.Plugin{
		{ID: "KeeperLogger", Name: "Logger", Status: "Stopped"},
		{ID: "KeeperPolicy", Name: "Policy", Status: "Healthy", ProcessID: 77, LastStartTime: time.Date(2026, 1, 2, 3, 4, 5, 0, time.Local)},
	}
	for _, f := range change {
		f(r)
	}
	if err := os.Mkdir(filepath.Join(r.root, "run"), 0o755); err != nil {
		t.Fatal(err)
	}
	certificate := trust.NewServerCertificate(trust.ServerConfig{
		Source: trust.Loopback(), Log: slog.New(slog.DiscardHandler),
		Publish: func(anchors []byte) error {
			return os.WriteFile(filepath.Join(r.root, "run", "ca.pem"), anchors, 0o644)
		},
	})
	err := certificate.Renew()
	if err != nil {
		t.Fatal(err)
	}
	r.server, err = api.New(api.Config{
		Version: "1.2.3", TLS: certificate.TLS(), Peers: r.peer, Identify: r.peer, Self: core.ProcessID{PID: 1},
		Plugins: pluginList{r.answers}, PluginControl: pluginList{r.answers}, Application: applicationAnswers{r.answers}, Doctor: r.answers, LastKnownGood: r.answers, Observed: r.answers, Factors: factorAnswers{r.answers}, Approvals: approvalList{r.answers}, ApprovalKeys: approvalKeyAnswers{r.answers}, Notices: noNotices{}, Prompts: noPrompts{}, Jobs: r.answers, Settings: settingAnswers{r.answers}, Requests: r.answers, Grants: grantAnswers{r.answers}, FileGrants: fileGrantAnswers{r.answers}, Rights: rightAnswers{r.answers}, Accounts: accountAnswers{}, Elevator: r.answers, Health: r.answers,
		Administrators: r.administrators, Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.stop)
	local, err := net.Listen("unix", filepath.Join(r.root, "run", "api.sock"))
	if err != nil {
		t.Fatal(err)
	}
	secure, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, r.port, _ = net.SplitHostPort(secure.Addr().String())
	if err := errors.Join(r.server.ServeLocal(local), r.server.ServeTLS(secure)); err != nil {
		t.Fatal(err)
	}
	return r
}

// do runs the command line on r's root.
func (r *running) do(t *testing.T, line ...string) (code int, stdout, stderr string) {
	t.Helper()
	return do(t, append(line, "--root", r.root)...)
}

func TestAskingTheService(t *testing.T) {
	r := newRunning(t)
	for _, c := range []struct {
		line string
		want string
	}{
		{"status", "running, version 1.2.3, 2 plugins, 3 jobs (2 enabled)\n"},
		{"status --json", `{"status":"running","version":"1.2.3","healthy":true,"plugins":2,"jobs":{"total":3,"enabled":2}}` + "\n"},
		{"plugins list", "ID            STATUS   PROCESS  STARTED              DETAIL\n" +
			"KeeperLogger  Stopped\nKeeperPolicy  Healthy  77       2026-01-02 03:04:05\n"},
		{"jobs list", "ID                        ENABLED  EVENTS          NEXT RUN             BY NAME                  NAME         DETAIL\n" +
			"LaunchPrivilegeElevation  true                                          nobody                   Launch\n" +
			"cleanup                   true     Found, Startup  2026-01-02 03:04:05  administrators, plugins  Clean\uFFFD[2Jup\n" +
			"broken                    false                                         administrators                        tasks: found nothing; expected a list\n"},
		{"jobs run --id cleanup", `{"runId":"r1"}` + "\n"},
		{"jobs run cleanup", `{"runId":"r1"}` + "\n"},
		{`jobs trigger --id cleanup --context {"days":30}`, `{"runId":"r1"}` + "\n"},
		{"settings get KeeperPrivilegeManager", "KEY          VALUE\nbroker.host  127.0.0.1\nbroker.port  8675\nodd          a\uFFFDb\n"},
		{"settings get KeeperPrivilegeManager broker.port", "8675\n"},
		{"settings get KeeperPrivilegeManager odd --json", `"a\u202eb"` + "\n"},
		// As the published tool is called.
		{"--port " + r.port + " jobs run --id cleanup", `{"runId":"r1"}` + "\n"},
		{"--url https://127.0.0.1:" + r.port + "/ settings get KeeperPrivilegeManager broker.host", "127.0.0.1\n"},
	} {
		code, out, diag := r.do(t, strings.Fields(c.line)...)
		if out = firstPart(out); code != 0 || out != c.want || diag != "" {
			t.Errorf("%s: %d\n%s%s\nwant\n%s", c.line, code, out, diag, c.want)
		}
	}
	if got := strings.Join(r.ran, ", "); got != `cleanup {}, cleanup {}, cleanup {"days":30}, cleanup {}` {
		t.Errorf("ran %s", got)
	}
	for _, line := range []string{"plugins list --json", "jobs list --json", "settings get KeeperPrivilegeManager --json"} {
		code, out, _ := r.do(t, strings.Fields(line)...)
		if code != 0 || !json.Valid([]byte(out)) || strings.ContainsAny(out, "\x1b\u202e") {
			t.Errorf("%s: %d %s", line, code, out)
		}
	}
}

func TestAnUnhealthyPluginIsAFault(t *testing.T) {
	r := newRunning(t, func(r *running) { r.plugins[0].Status, r.plugins[0].Detail = "Failed", "no such file" })
	code, out, diag := r.do(t, "status")
	if code != 1 || !strings.HasSuffix(firstPart(out), "\nKeeperLogger is Failed: no such file\n") || diag != "" {
		t.Errorf("%d: %q %q", code, out, diag)
	}
	code, out, _ = r.do(t, "status", "--json")
	if code != 1 || !strings.Contains(out, `"unhealthy":["KeeperLogger is Failed: no such file"]`) {
		t.Errorf("%d: %q", code, out)
	}
}

func TestWhatUsersAreTold(t *testing.T) {
	r := newRunning(t, func(r *running) {
		r.peer.is.User, r.peer.is.Administrator = "1000", false
		r.plugins[0].Status = "Failed"
	})
	if code, out, diag := r.do(t, "status"); code != 0 || !strings.HasPrefix(out, "running, ") || diag != "" {
		t.Errorf("status: %d %q %q", code, out, diag)
	}
	code, out, diag := r.do(t, "jobs", "run", "--id", "cleanup")
	for _, part := range []string{"tier-too-low", "needs tier Admin", "recognised as User", "run this as root"} {
		if code != 2 || out != "" || !strings.Contains(diag, part) {
			t.Errorf("%d %q: %q lacks %q", code, out, diag, part)
		}
	}
}

func TestNobodyAnswers(t *testing.T) {
	r := newRunning(t)
	r.stop()
	for _, line := range []string{"status", "status --port " + r.port} {
		code, out, diag := r.do(t, strings.Fields(line)...)
		if code != 1 || !strings.HasPrefix(out, "not running: the service does not answer") || diag != "" {
			t.Errorf("%s: %d %q %q", line, code, out, diag)
		}
	}
	if code, out, diag := r.do(t, "plugins", "list"); code != 2 || out != "" || !strings.Contains(diag, "does not answer") {
		t.Errorf("plugins list: %d %q %q", code, out, diag)
	}
}

// Whoever holds the port is not thereby the service.
func TestAnotherServerAtThePort(t *testing.T) {
	r, other := newRunning(t), newRunning(t)
	code, out, diag := r.do(t, "jobs", "run", "--id", "cleanup", "--port", other.port)
	if code != 2 || out != "" || !strings.Contains(diag, "unknown authority") || other.ran != nil {
		t.Errorf("%d %q %q", code, out, diag)
	}
}

func TestRefusalsAndUsage(t *testing.T) {
	r := newRunning(t)
	for _, c := range []struct{ line, says string }{
		{"jobs run --id LaunchPrivilegeElevation", "own-events-only"},
		{"jobs run --id nothing", `there is no job "nothing"`},
		{"jobs run --id a/../b", `there is no job "a/../b"`},
		{"jobs run --id broken", "broken is disabled"},
		{"jobs run", "which job?"},
		{"jobs trigger --id cleanup --context [1]", "expected a JSON object"},
		{"jobs trigger --id cleanup --context null", "expected a JSON object"},
		{"jobs trigger --id cleanup --context {", "expected a JSON object"},
		{`jobs trigger --id cleanup --context {"days":1,"DAYS":30}`, "--context:1: DAYS is given twice, expected each name once"},
		{"jobs trigger --id cleanup --context " + `{"a":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + "}", "is nested too deeply, expected at most 32 levels"},
		{"settings get", "accepts between 1 and 2 arg(s)"},
		{"settings get Nobody", `there is no plugin "Nobody"`},
		{"settings get KeeperPrivilegeManager nothing", "has no setting"},
		{"plugins restart", "accepts 1 arg(s)"},
		{"plugins restart nothing", "no such plugin"},
		{"plugins retsart A", "unknown command"},
		{"status --port 70000", "value out of range"},
		{"status --port 6889 --url https://localhost:6889", "none of the others can be"},
		{"status --url http://localhost:6888", "expected https"},
		{"status --url https://attacker.example:6889", "a loopback host"},
		{"status --url https://localhost@attacker.example:6889", "a loopback host"},
		{"status --url https://user@localhost:6889", "expected https"},
		{"status --url https://localhost:6889/api", "expected https"},
	} {
		code, out, diag := r.do(t, strings.Fields(c.line)...)
		if code != 2 || out != "" || !strings.Contains(diag, c.says) {
			t.Errorf("%s: %d %q %q, want 2 with %q", c.line, code, out, diag, c.says)
		}
	}
	if r.ran != nil {
		t.Errorf("ran %v", r.ran)
	}
}

func TestEveryCommandHasExamples(t *testing.T) {
	for _, line := range []string{"status", "plugins list", "jobs list", "jobs run", "jobs trigger", "settings get"} {
		code, out, _ := do(t, append(strings.Fields(line), "--help")...)
		if code != 0 || !strings.Contains(out, "Examples:\n  KeeperAdminCLI ") {
			t.Errorf("%s --help: %d\n%s", line, code, out)
		}
	}
}
