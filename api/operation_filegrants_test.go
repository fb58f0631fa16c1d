package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"kpm/core"
)

// What is to be given is named in one of three ways, each for its own callers.
func TestGivingAccessToFiles(t *testing.T) {
	p := newPlace(t)
	admin := being{name: "root", peer: core.Peer{User: "0", Administrator: true, Processes: process(301), SameIdentity: true}}
	run := being{name: "the request's run", bound: true, who: run1}
	approved := being{name: "a run", bound: true, who: core.Principal{Kind: core.JobRun, User: "0", Name: "GrantFileAccess", Run: "r9"}}
	own := fmt.Sprintf(`"RequestId":%q`, request1)
	for _, tc := range []struct {
		b      being
		body   string
		status int
		says   string
	}{
		{run, `{` + own + `}`, 200, `"secondsLeft":0`},
		{run, `{` + own + `,"DurationMinutes":"30"}`, 200, `"secondsLeft":1800`},
		{run, `{` + own + `,"DurationMinutes":240}`, 200, `"secondsLeft":14400`},
		{run, `{` + own + `,"DurationMinutes":0}`, 400, "DurationMinutes"},
		{run, `{` + own + `,"DurationMinutes":1441}`, 400, "DurationMinutes"},
		{run, `{` + own + `,"DurationMinutes":"ever"}`, 400, "DurationMinutes"},
		{run, `{"RequestId":"another"}`, 403, "not-permitted"},
		{run, `{"UserName":"ann","FilePath":"/srv/list"}`, 403, "tier-too-low"},
		{admin, `{` + own + `}`, 403, "not-permitted"},
		{admin, `{"ApprovalUid":"ABCD-2345"}`, 403, "not-permitted"},
		{approved, `{"ApprovalUid":"ABCD-2345"}`, 200, "ABCD-2345"},
		{admin, `{"UserName":"ann","FilePath":"/srv/list","DurationMinutes":5}`, 200, `"secondsLeft":300`},
		{admin, `{"UserName":"ann"}`, 400, "/FilePath"},
		{admin, `{"FilePath":"/srv/list"}`, 400, "/UserName"},
		{admin, `[]`, 400, ""},
	} {
		p.connectAs(tc.b)
		way := p.overSocket()
		if tc.b.bound {
			way = p.overBound(tc.b.who)
		}
		for _, path := range []string{"/api/filegrants", "/api/executiongrants"} {
			r := send(t, way, newRequest(t, "POST", "http://keeper"+path, tc.body))
			if r.status != tc.status || !strings.Contains(r.body, tc.says) {
				t.Errorf("%s: %s %s: %d %s", tc.b.name, path, tc.body, r.status, r.body)
			}
		}
		way.CloseIdleConnections()
	}
}

// People see and end what is theirs, and do not learn what others have.
func TestFileGrantsAreShownToWhoseTheyAre(t *testing.T) {
	p := newPlace(t)
	p.connectAs(being{name: "user", peer: userPeer(300)})
	way := p.overSocket()
	defer way.CloseIdleConnections()
	list := send(t, way, newRequest(t, "GET", "http://keeper/api/filegrants", ""))
	if list.status != http.StatusOK || !strings.Contains(list.body, "F1000") || strings.Contains(list.body, "F1001") {
		t.Errorf("%d %s", list.status, list.body)
	}
	if r := send(t, way, newRequest(t, "DELETE", "http://keeper/api/executiongrants/F1000", "")); r.status != http.StatusOK {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := send(t, way, newRequest(t, "DELETE", "http://keeper/api/filegrants/F1001", "")); r.status != http.StatusNotFound || !strings.Contains(r.body, "unknown-grant") {
		t.Errorf("%d %s", r.status, r.body)
	}
}
