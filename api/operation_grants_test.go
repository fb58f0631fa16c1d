package api_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"kpm/core"
)

// People see and end what is theirs, and do not learn what others have.
func TestGrantsAreShownToWhoseTheyAre(t *testing.T) {
	p := newPlace(t)
	for _, tc := range []struct {
		who          string
		b            being
		sees         []string
		doesNot      string
		ends, cannot string
	}{
		{"a user", being{name: "user", peer: userPeer(300)}, []string{"G1000"}, "G1001", "G1000", "G1001"},
		{"an administrator", being{name: "root", peer: core.Peer{User: "0", Administrator: true, Processes: process(301), SameIdentity: true}}, []string{"G1000", "G1001"}, "G1002", "G1001", "G1002"},
	} {
		p.connectAs(tc.b)
		way := p.overSocket()
		list := send(t, way, newRequest(t, "GET", "http://keeper/api/grants", ""))
		for _, id := range tc.sees {
			if list.status != http.StatusOK || !strings.Contains(list.body, id) {
				t.Errorf("%s does not see %s: %d %s", tc.who, id, list.status, list.body)
			}
		}
		if strings.Contains(list.body, tc.doesNot) {
			t.Errorf("%s sees %s: %s", tc.who, tc.doesNot, list.body)
		}
		if r := send(t, way, newRequest(t, "DELETE", "http://keeper/api/grants/"+tc.ends, "")); r.status != http.StatusOK {
			t.Errorf("%s cannot end %s: %d %s", tc.who, tc.ends, r.status, r.body)
		}
		if r := send(t, way, newRequest(t, "DELETE", "http://keeper/api/grants/"+tc.cannot, "")); r.status != http.StatusNotFound || !strings.Contains(r.body, `"code":"unknown-grant"`) {
			t.Errorf("%s ends %s: %d %s", tc.who, tc.cannot, r.status, r.body)
		}
		way.CloseIdleConnections()
	}
}

// Notices come as they happen, to whose they are.
func TestNotices(t *testing.T) {
	p := newPlace(t)
	response, err := (&http.Client{Transport: p.overSocket()}).Do(newRequest(t, http.MethodGet, "http://keeper/api/notices", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != 200 || response.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("%d %v", response.StatusCode, response.Header)
	}
	text, err := io.ReadAll(response.Body)
	if want := "event: approval-denied\ndata: {\"kind\":\"approval-denied\",\"id\":\"ABCD-2345\",\"text\":\"it is refused\",\"secondsLeft\":0}\n\n"; err != nil || !strings.HasSuffix(string(text), want) {
		t.Errorf("%v, %q", err, text)
	}
}
