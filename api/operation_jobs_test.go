package api_test

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"kpm/core"
	"kpm/core/view"
)

// Who may do what with jobs, their files and their runs, and that every answer is the
// documented one.
func TestJobsFilesAndRuns(t *testing.T) {
	p := newPlace(t)
	c := newContract(t, string(readFile(t, "openapi.json")))
	plugin := being{peer: servicePeer(230), who: core.Principal{Kind: core.Plugin, User: "0", Name: "Chat"}}
	policy := being{peer: servicePeer(240), who: core.Principal{Kind: core.Plugin, User: "0", Name: "KeeperPolicy"}}
	task := being{bound: true, who: core.Principal{Kind: core.JobRun, Name: "inventory", Run: "r2"}}
	p.allow = []string{"POST /api/Jobs/reload", "DELETE /api/Jobs/inventory"}
	maintenance := being{bound: true, who: core.Principal{Kind: core.JobRun, Name: "maintenance", Run: "r3"}}
	for _, step := range []struct {
		who                being
		method, path, body string
		status             int
		says               string
	}{
		{plugin, "GET", "/api/Jobs/inventory", "", 200, `"definition":{"id":"inventory"}`},
		{plugin, "GET", "/api/Jobs/nobody", "", 404, `"code":"unknown-job"`},
		{task, "GET", "/api/Jobs/inventory", "", 200, `"id":"inventory"`},
		{user, "GET", "/api/Jobs/inventory", "", 403, `"requiredTier":"Plugin"`},
		{plugin, "POST", "/api/Jobs/validate", `{"id":"a"}`, 200, `{"id":"a","valid":true,"warnings":["there is no program"]}`},
		{plugin, "POST", "/api/jobs/VALIDATE", `{"tasks":[]}`, 400, `"pointer":"/tasks/0/id","detail":"missing, expected an id; write one"`},
		{plugin, "POST", "/api/Jobs/validate", `[1]`, 400, `"code":"bad-request"`},
		{plugin, "POST", "/api/Jobs/validate", `{"id":"a","id":"b"}`, 400, `"code":"bad-request"`},
		{plugin, "POST", "/api/Jobs/validate", ``, 400, `"code":"bad-request"`},
		{plugin, "GET", "/api/Jobs/validate", "", 405, `this path takes POST`},
		{plugin, "POST", "/api/Jobs", `{"id":"a"}`, 403, `"requiredTier":"Admin"`},
		{root, "POST", "/api/Jobs", `{"id":"a"}`, 201, `"definition":{"id":"a"}`},
		{root, "POST", "/api/Jobs", `{"id":"inventory"}`, 409, `"code":"conflict"`},
		{root, "POST", "/api/Jobs", `{}`, 400, `"pointer":"/tasks/0/id"`},
		{root, "PUT", "/api/Jobs/inventory", `{"id":"inventory"}`, 200, `"id":"inventory"`},
		{root, "PUT", "/api/Jobs/nobody", `{"id":"nobody"}`, 404, `"code":"unknown-job"`},
		{plugin, "PUT", "/api/Jobs/inventory", `{"id":"inventory"}`, 403, `"requiredTier":"Admin"`},
		{plugin, "DELETE", "/api/Jobs/inventory", "", 403, `"requiredTier":"Admin"`},
		{task, "DELETE", "/api/Jobs/inventory", "", 403, `the allowedRequests of its file do not list it`},
		{maintenance, "DELETE", "/api/Jobs/inventory", "", 200, `{"id":"inventory"}`},
		{root, "DELETE", "/api/Jobs/nobody", "", 404, `"code":"unknown-job"`},
		{root, "POST", "/api/Jobs/reload", "", 200, `{"changed":[]}`},
		{maintenance, "POST", "/api/Jobs/reload", "", 200, `{"changed":[]}`},
		{plugin, "POST", "/api/Jobs/reload", "", 403, `"requiredTier":"Admin"`},
		{policy, "POST", "/api/Jobs/inventory/evaluate", `{"FilePath":"/x"}`, 200, `{"runId":"run-1","passed":true}`},
		{policy, "POST", "/api/Jobs/nobody/evaluate", ``, 404, `"code":"unknown-job"`},
		{plugin, "POST", "/api/Jobs/inventory/evaluate", ``, 403, `only plugin KeeperPolicy may ask for this`},
		{root, "POST", "/api/Jobs/inventory/evaluate", ``, 403, `only plugin KeeperPolicy may ask for this`},
		{task, "POST", "/api/Jobs/inventory/evaluate", ``, 403, `only plugin KeeperPolicy may ask for this`},
		{root, "POST", "/api/Jobs/inventory/explain", `{"eventName":"E","context":{"a":1}}`, 200, `"reasons":["it does not name the event E"]`},
		{plugin, "POST", "/api/Jobs/inventory/explain", ``, 403, `"requiredTier":"Admin"`},
		{root, "GET", "/api/Jobs/runs", "", 200, `"next":"7"`},
		{root, "GET", "/api/Jobs/runs?limit=0x", "", 400, `limit is \"0x\", which it cannot be`},
		{root, "GET", "/api/Jobs/runs?state=done", "", 400, `state is \"done\", expected one of queued, running`},
		{root, "GET", "/api/Jobs/runs?trigger=cron", "", 400, `trigger is \"cron\", expected one of event, schedule`},
		{root, "GET", "/api/Jobs/runs?since=yesterday", "", 400, `since is \"yesterday\"`},
		{root, "GET", "/api/Jobs/runs?jub=x", "", 400, `there is no query parameter \"jub\"`},
		{root, "GET", "/api/Jobs/runs?limit=1001", "", 400, `no such page`},
		{root, "GET", "/api/Jobs/inventory/runs", "", 200, `"jobId":"inventory"`},
		{plugin, "GET", "/api/Jobs/runs", "", 403, `"requiredTier":"Admin"`},
		{root, "GET", "/api/Jobs/runs/run-1", "", 200, `"exitCode":3`},
		{root, "GET", "/api/Jobs/runs/run-2", "", 404, `"code":"unknown-run"`},
		{plugin, "GET", "/api/Jobs/runs/run-1", "", 403, `"requiredTier":"Admin"`},
		{root, "POST", "/api/Jobs/runs/run-1/cancel", "", 202, `{"runId":"run-1"}`},
		{root, "POST", "/api/Jobs/runs/run-2/cancel", "", 404, `"code":"unknown-run"`},
		{plugin, "POST", "/api/Jobs/runs/run-1/cancel", "", 403, `"requiredTier":"Admin"`},
		{root, "GET", "/api/Jobs/runs/run-2/events", "", 404, `"code":"unknown-run"`},
		{plugin, "GET", "/api/Jobs/runs/run-1/events", "", 403, `"requiredTier":"Admin"`},
	} {
		way := p.overSocket()
		if step.who.bound {
			way = p.overBound(step.who.who)
		} else {
			p.connectAs(step.who)
		}
		r := send(t, way, newRequest(t, step.method, "http://keeper"+step.path, step.body))
		if r.status != step.status || !strings.Contains(r.body, step.says) {
			t.Errorf("%s %s %s as %s: %d %s, want %d %s", step.method, step.path, step.body, step.who.who, r.status, r.body, step.status, step.says)
		}
		if r.status != 405 && step.path != strings.ToUpper(step.path) && !strings.Contains(step.path, "VALIDATE") {
			if err := c.check(r); err != nil {
				t.Errorf("%s %s: %v\n%s", step.method, step.path, err, r.body)
			}
		}
	}
}

// The query chooses runs.
func TestTheQueryOfRuns(t *testing.T) {
	p := newPlace(t)
	query := url.Values{"job": {"scan"}, "state": {"failed"}, "trigger": {"event"}, "event": {"Startup"}, "since": {"2026-01-02T03:04:05Z"}, "until": {"2026-01-03T03:04:05+01:00"}, "limit": {"7"}, "before": {"9"}}
	for path, job := range map[string]string{"/api/Jobs/runs": "scan", "/api/Jobs/inventory/runs": "inventory"} {
		p.filters = nil
		if r := send(t, p.overSocket(), newRequest(t, "GET", "http://keeper"+path+"?"+query.Encode(), "")); r.status != 200 {
			t.Fatal(r.body)
		}
		got := p.filters[0]
		want := view.JobRunFilter{JobID: job, State: "failed", Kind: "event", Event: "Startup", Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Until: got.Until, Limit: 7, Before: "9"}
		if got != want || !got.Until.Equal(time.Date(2026, 1, 3, 2, 4, 5, 0, time.UTC)) {
			t.Errorf("%s: %+v", path, got)
		}
	}
}

// A name that no job has is an error, as everywhere else; a job that is gone has its runs.
func TestRunsOfAJobThatThereIsNot(t *testing.T) {
	p := newPlace(t)
	for path, want := range map[string]int{
		"/api/Jobs/nobody/runs": 404, "/api/Jobs/nobody/runs?state=failed": 404, "/api/Jobs/runs?job=nobody": 200,
		"/api/Jobs/gone/runs": 200, "/api/Jobs/gone/runs?state=succeeded": 200, "/api/Jobs/inventory/runs?state=succeeded": 200,
	} {
		r := send(t, p.overSocket(), newRequest(t, "GET", "http://keeper"+path, ""))
		if r.status != want || want == 404 && !strings.Contains(r.body, `"code":"unknown-job"`) {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
}

// A run's events come as they happen, and the stream ends with the run.
func TestEventsOfARun(t *testing.T) {
	p := newPlace(t)
	r := send(t, p.overSocket(), newRequest(t, http.MethodGet, "http://keeper/api/Jobs/runs/run-1/events", ""))
	if r.status != 200 || r.header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("%d %s", r.status, r.header)
	}
	blocks := strings.Split(strings.TrimSuffix(r.body, "\n\n"), "\n\n")
	if len(blocks) != 2 || !strings.HasPrefix(blocks[0], "event: task\ndata: {\"kind\":\"task\",\"task\":{") || !strings.HasPrefix(blocks[1], "event: run\ndata: {\"kind\":\"run\",\"run\":{") {
		t.Errorf("%q", r.body)
	}
}

// A stream does not hold the server up when it stops.
func TestAStreamEndsWithTheServer(t *testing.T) {
	p := newPlace(t)
	p.silent = make(chan view.JobRunEvent)
	defer close(p.silent)
	response, err := (&http.Client{Transport: p.overSocket()}).Do(newRequest(t, http.MethodGet, "http://keeper/api/Jobs/runs/run-1/events", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if err := p.server.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if text, err := io.ReadAll(response.Body); err != nil || !strings.HasPrefix(string(text), "event: task") {
		t.Errorf("%q %v", text, err)
	}
}
