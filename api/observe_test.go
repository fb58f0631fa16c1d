package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"kpm/core/metrics"
	"kpm/core/view"
	"kpm/launcher/journal"
)

// observedOf shows a world, and remembers what was asked of its journal.
type observedOf struct{ *world }

func (o observedOf) Metrics() []byte {
	var p metrics.Page
	p.Counter("x_total", "X", 1)
	return p.Text()
}

func (o observedOf) Overview() view.Overview { return view.Overview{Version: "1.2.3", Root: "/agent"} }

func (o observedOf) Audit(_ context.Context, q journal.Query) (journal.Found, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queries = append(o.queries, q)
	if q.Outcome == "gone" {
		return journal.Found{}, journal.ErrQuery
	}
	found := journal.Found{Records: []journal.Record{{Seq: 5, Type: journal.Denied, User: "al\nice"}, {Seq: 9, Type: journal.Denied}}}
	if q.After == 0 {
		found.Next = 12
	}
	return found, nil
}

func TestMetricsAreText(t *testing.T) {
	p := newPlace(t)
	r := send(t, p.overSocket(), newRequest(t, "GET", "http://keeper/metrics", ""))
	if r.status != http.StatusOK || r.header.Get("Content-Type") != "text/plain; version=0.0.4; charset=utf-8" || !strings.Contains(r.body, "\nx_total 1\n") {
		t.Errorf("%d %v %q", r.status, r.header, r.body)
	}
}

// A page is a record a line, whatever is in it, and says where the next one is,
// with the same question.
func TestAuditPages(t *testing.T) {
	p := newPlace(t)
	r := send(t, p.overSocket(), newRequest(t, "GET",
		"http://keeper/api/audit?user=alice&outcome=denied&request=R&since=2026-01-02T03:04:05Z&until=2026-01-03T00:00:00Z&limit=2", ""))
	if r.status != http.StatusOK || r.header.Get("Content-Type") != "application/x-ndjson" || strings.Count(r.body, "\n") != 2 {
		t.Fatalf("%d %v %q", r.status, r.header, r.body)
	}
	for line := range strings.Lines(r.body) {
		var record journal.Record
		if err := json.Unmarshal([]byte(line), &record); err != nil || record.Type != journal.Denied {
			t.Errorf("%q: %v", line, err)
		}
	}
	const next = `</api/audit?after=12&limit=2&outcome=denied&request=R&since=2026-01-02T03%3A04%3A05Z&until=2026-01-03T00%3A00%3A00Z&user=alice>; rel="next"`
	if link := r.header.Get("Link"); link != next {
		t.Errorf("Link: %s\nwant  %s", link, next)
	}
	want := journal.Query{
		Request: "R", User: "alice", Outcome: journal.Denied, Limit: 2,
		Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Until: time.Date(2026, 1, 3, 0, 0, 0, 0, time.UTC),
	}
	address, _, _ := strings.Cut(strings.TrimPrefix(next, "<"), ">")
	r = send(t, p.overSocket(), newRequest(t, "GET", "http://keeper"+address, ""))
	if r.status != http.StatusOK || r.header.Get("Link") != "" {
		t.Errorf("the last page: %d %v", r.status, r.header)
	}
	again := want
	again.After = 12
	if len(p.queries) != 2 || p.queries[0] != want || p.queries[1] != again {
		t.Errorf("asked %+v", p.queries)
	}
}

func TestAuditQuestionsThatCannotBe(t *testing.T) {
	p := newPlace(t)
	for query, says := range map[string]string{
		"since=yesterday": "since is", "until=1": "until is", "limit=0": "limit is", "limit=x": "limit is", "after=-1": "after is",
		"usr=alice": "there is no query parameter", "outcome=gone": "no question to the journal",
	} {
		r := send(t, p.overSocket(), newRequest(t, "GET", "http://keeper/api/audit?"+query, ""))
		if r.status != http.StatusBadRequest || !strings.Contains(r.body, says) {
			t.Errorf("%s: %d %s", query, r.status, r.body)
		}
	}
}
