package service_test

import (
	"encoding/json"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"kpm/core/door"
	"kpm/core/view"
	"kpm/launcher/journal"
	"kpm/platform/fake"
)

// measured returns the samples of a page, and the kinds of its metrics.
func measured(t *testing.T, page string) (samples, kinds map[string]string) {
	t.Helper()
	samples, kinds = map[string]string{}, map[string]string{}
	for line := range strings.Lines(page) {
		line = strings.TrimSuffix(line, "\n")
		if words := strings.Fields(line); strings.HasPrefix(line, "# TYPE ") {
			kinds[words[2]] = words[3]
		}
		if strings.HasPrefix(line, "#") {
			continue
		}
		at := strings.LastIndexByte(line, ' ')
		if _, twice := samples[line[:at]]; twice {
			t.Errorf("%s is there twice", line[:at])
		}
		samples[line[:at]] = line[at+1:]
	}
	return samples, kinds
}

// What people ask and what became of it can be counted, and nobody is named.
func TestMetrics(t *testing.T) {
	m := boot(t)
	m.install(m.bin("allowed"), report(0))
	m.install(m.bin("denied"), report(0))
	m.install(m.bin("justified"), report(0))
	if got := m.ask(m.output(), "allowed", "s3cret-argument").exit(); got != (door.Exit{}) {
		t.Fatalf("%+v", got)
	}
	for range 2 {
		if got := m.ask(m.output(), "denied").refused(); got.Code != door.CodeDenied {
			t.Fatalf("%+v", got)
		}
	}
	v := m.ask(m.output(), "justified")
	v.answer("Reason", door.Answer{Text: "it is needed"})
	if got := v.exit(); got != (door.Exit{}) {
		t.Fatalf("%+v", got)
	}
	m.ask(m.output(), "absent").refused()

	response, page := m.get(fake.Administrator, "/metrics")
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", response.Status, page)
	}
	samples, kinds := measured(t, page)
	for name, want := range map[string]string{
		`kpm_requests_total{outcome="ran",refusal=""}`:              "2",
		`kpm_requests_total{outcome="refused",refusal="denied"}`:    "2",
		`kpm_requests_total{outcome="refused",refusal="not-found"}`: "1",
		`kpm_policy_decisions_total{decision="allow"}`:              "1",
		`kpm_policy_decisions_total{decision="pend"}`:               "1",
		`kpm_policy_decisions_total{decision="deny"}`:               "2",
		`kpm_elevation_phase_seconds_count{phase="total"}`:          "2",
		`kpm_elevation_phase_seconds_count{phase="launch"}`:         "2",
		`kpm_elevation_phase_seconds_count{phase="start"}`:          "2",
		`kpm_elevation_phase_seconds_count{phase="decide"}`:         "4",
		`kpm_elevation_phase_seconds_count{phase="controls"}`:       "1",
		`kpm_elevation_phase_seconds_count{phase="seal"}`:           "4",
		`kpm_journal_records_total{type="launched"}`:                "2",
		`kpm_journal_failures_total`:                                "0",
		`kpm_build_info{version="test"}`:                            "1",
		`kpm_healthy`:                                               "1",
		`kpm_plugins{state="healthy"}`:                              "1",
		`kpm_plugin_restarts_total{plugin="KeeperPolicy"}`:          "0",
		`kpm_broker_connections{state="admitted"}`:                  "1",
		`kpm_broker_refusals_total{cause="publish"}`:                "0",
	} {
		if samples[name] != want {
			t.Errorf("%s is %q, want %s", name, samples[name], want)
		}
	}
	if samples["kpm_broker_deliveries_total"] == "0" || samples[`kpm_job_runs_total{state="succeeded"}`] == "" {
		t.Errorf("deliveries %q, runs %q", samples["kpm_broker_deliveries_total"], samples[`kpm_job_runs_total{state="succeeded"}`])
	}
	for _, private := range []string{"ada", `"1000"`, "s3cret", m.Files.Dir, "needed"} { // a time may have 1000 in it
		if strings.Contains(page, private) {
			t.Errorf("the page says %q:\n%s", private, page)
		}
	}
	documented(t, kinds)
	dashboard(t, kinds)
}

// documented holds the table of docs/metrics.md to what is served.
func documented(t *testing.T, kinds map[string]string) {
	t.Helper()
	text, err := os.ReadFile("../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]string{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\| ([a-z]+) \\|").FindAllStringSubmatch(string(text), -1) {
		rows[row[1]] = row[2]
	}
	for name, kind := range kinds {
		if rows[name] != kind {
			t.Errorf("docs/metrics.md calls %s a %q, it is a %s", name, rows[name], kind)
		}
	}
	for name := range rows {
		// It comes with the first checkpoint.
		if kinds[name] == "" && name != "kpm_journal_signed_timestamp_seconds" {
			t.Errorf("docs/metrics.md has %s, which is not served", name)
		}
	}
	named(t, "docs/metrics.md", string(text), rows)
}

// dashboard holds the dashboard to what is documented.
func dashboard(t *testing.T, kinds map[string]string) {
	t.Helper()
	text, err := os.ReadFile("../docs/grafana-dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal(text, &board); err != nil || len(board.Panels) < 10 {
		t.Fatalf("%d panels, %v", len(board.Panels), err)
	}
	kinds["kpm_journal_signed_timestamp_seconds"] = "gauge"
	for _, panel := range board.Panels {
		for _, target := range panel.Targets {
			if named(t, panel.Title, target.Expr, kinds) == 0 {
				t.Errorf("%s asks for no metric: %s", panel.Title, target.Expr)
			}
		}
	}
}

// named holds every metric in text to those that there are.
func named(t *testing.T, where, text string, kinds map[string]string) int {
	t.Helper()
	all := regexp.MustCompile(`\b(kpm|process)_[a-z_]+[a-z]`).FindAllString(text, -1)
	for _, name := range all {
		base := regexp.MustCompile(`_(bucket|sum|count)$`).ReplaceAllString(name, "")
		if kinds[name] == "" && kinds[base] != "histogram" {
			t.Errorf("%s names %s, which there is not", where, name)
		}
	}
	return len(all)
}

// The API's journal is the journal, for administrators alone.
func TestAuditOfAService(t *testing.T) {
	m := boot(t)
	m.install(m.bin("allowed"), report(0))
	m.install(m.bin("denied"), report(0))
	m.ask(m.output(), "allowed").exit()
	m.ask(m.output(), "denied").refused()
	response, body := m.get(fake.Administrator, "/api/audit?user=ada&outcome=denied")
	var r journal.Record
	if err := json.Unmarshal([]byte(body), &r); err != nil || response.StatusCode != http.StatusOK ||
		r.Type != journal.Denied || r.User != "ada" || r.UserID != "1000" || r.Program.Path != m.bin("denied") {
		t.Errorf("%s: %s, %v", response.Status, body, err)
	}
	if response, body = m.get(fake.Administrator, "/api/audit"); strings.Count(body, "\n") < 10 || strings.Count(body, `"user":"ada"`) < 9 {
		t.Errorf("%s: %s", response.Status, body)
	}
	if response, body = m.get("1000", "/api/audit?user=ada"); response.StatusCode != http.StatusForbidden {
		t.Errorf("a user is told %s: %s", response.Status, body)
	}
}

func TestOverviewOfAService(t *testing.T) {
	m := boot(t)
	response, body := m.get(fake.Administrator, "/api/system/overview")
	var o view.Overview
	if err := json.Unmarshal([]byte(body), &o); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", response.Status, body, err)
	}
	ports, err := m.ports()
	if err != nil {
		t.Fatal(err)
	}
	if o.Version != "test" || o.Root != m.layout.Root() || o.HTTPS != ports.HTTPS || o.MQTT != ports.MQTT || o.ProcessID != os.Getpid() ||
		o.Certificate == nil || len(o.Certificate.SHA256) != 64 || !o.Journal.Writable || o.Journal.Last == 0 || o.Journal.Segments != 1 {
		t.Errorf("%s", body)
	}
}
