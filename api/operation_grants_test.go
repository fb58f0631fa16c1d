package api_test

import (
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
