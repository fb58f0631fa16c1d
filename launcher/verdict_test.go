package launcher

import (
	"encoding/json"
	"testing"

	"kpm/core"
	"kpm/core/wire"
)

// keepersudo -l COMMAND tells what policy says about it. Nothing is opened, recorded or
// run, and the answer is worth nothing to whoever then asks to run it.
func TestAVerdictRunsNothing(t *testing.T) {
	w := newWorld(t)
	tool := w.path("bin/tool")
	about := func(asJSON bool, a wire.PolicyResponse) Result {
		k := w.submission("tool", "-u")
		k.List, k.JSON = true, asJSON
		return listed(t, w, k, func(q wire.PolicyRequest) {
			if q.EventType != wire.EventPrivilegeElevation || q.UserID != "1000" || q.FilePath != tool || len(q.Arguments) != 2 || q.SealDigest != "" || q.FileHash == "" || !q.TargetIsAdministrator {
				t.Errorf("asked %+v", q)
			}
			answered(t, w, policy, q, a)
		})
	}
	by := []core.PolicyRef{{ID: "p", Name: "Who am I"}}
	for want, a := range map[string]wire.PolicyResponse{
		tool + " -u as root: allowed\n  by policy: Who am I\n": {Decision: core.Allow, Policies: by},
		tool + " -u as root: allowed, and asks for: JUSTIFY (The person gives a reason in the terminal that the request came from)\n  by policy: Who am I\n": {Decision: core.Pending, Controls: []core.Control{core.ControlJustify}, Policies: by},
		tool + " -u as root: refused\n  No policy allows it.\n": {Decision: core.Deny, Message: "No policy allows it."},
		tool + " -u as root: refused\n":                         {Decision: "MAYBE"},
	} {
		if got := about(false, a); got.Listing != want || got.Denied != (a.Decision != core.Allow && a.Decision != core.Pending) {
			t.Errorf("%+v: got %q %v %+v, want %q", a, got.Listing, got.Denied, got.Refused, want)
		}
	}
	var got verdict
	text := about(true, wire.PolicyResponse{Decision: core.Pending, Controls: []core.Control{core.ControlJustify}, Policies: by})
	if err := json.Unmarshal([]byte(text.Listing), &got); err != nil || text.Denied || got.User != "ada" || got.Decision != core.Pending || len(got.Controls) != 1 || got.Policies[0].ID != "p" || !got.Satisfiable {
		t.Errorf("%v: %s", err, text.Listing)
	}
	if w.recorded() != "" {
		t.Errorf("it is in the journal: %s", w.recorded())
	}
}
