package api_test

import (
	"strings"
	"testing"

	"kpm/api"
	"kpm/core"
)

// An operation is added by one file (operation_example_test.go): it is served,
// its tier is enforced, its errors are answered by their kind, and it is in the
// document, to which all its answers keep.
func TestAnOperationIsOneFile(t *testing.T) {
	notes := api.Notes{"shopping": "milk", "old": "locked", "hot": "broken", "late": "busy"}
	p := newPlaceOf(t, func(cfg api.Config) (*api.Server, error) { return api.NewWithNotes(cfg, notes) })
	c := newContract(t, send(t, p.overSocket(), newRequest(t, "GET", "http://keeper/openapi.json", "")).body)
	operation := c.doc.Paths.Find("/api/Notes/{note}").GetOperation("PUT")
	if operation == nil || operation.Extensions["x-tier"] != "Plugin" {
		t.Fatalf("documented as %+v", operation)
	}

	plugin := being{peer: servicePeer(230), who: core.Principal{Kind: core.Plugin, User: "0", Name: "KeeperPolicy"}}
	task := being{bound: true, who: core.Principal{Kind: core.JobRun, Name: "inventory", Run: "r2"}}
	maintenance := being{bound: true, who: core.Principal{Kind: core.JobRun, Name: "maintenance", Run: "r3"}}
	p.allow = []string{"PUT /api/Notes/shopping"}
	const eggs = `{"Text":"eggs"}`
	for _, step := range []struct {
		who        being
		path, body string
		status     int
		says       string
	}{
		{user, "/api/Notes/shopping", eggs, 403, `"code":"tier-too-low","requiredTier":"Plugin"`},
		{task, "/api/Notes/shopping", eggs, 200, eggs}, // tier Plugin, like every run of a job
		{plugin, "/api/Notes/shopping", `{"Text":7}`, 400, `"pointer":"/Text"`},
		{plugin, "/api/Notes/none", eggs, 404, `"detail":"there is no such note","code":"not-found"`},
		{plugin, "/api/Notes/old", eggs, 409, `"detail":"the note is locked","code":"conflict"`},
		{plugin, "/api/Notes/hot", eggs, 500, `"detail":"the service has logged what went wrong","code":"internal"`},
		{plugin, "/api/Notes/late", eggs, 500, `"detail":"the service has logged what went wrong","code":"internal"`},
		{maintenance, "/api/notes/shopping", eggs, 200, eggs},
		{plugin, "/api/Notes/shopping", `{"Text":"salt"}`, 200, `{"Text":"salt"}`},
	} {
		way := p.overSocket()
		if step.who.bound {
			way = p.overBound(step.who.who)
		} else {
			p.connectAs(step.who)
		}
		r := send(t, way, newRequest(t, "PUT", "http://keeper"+step.path, step.body))
		if r.status != step.status || !strings.Contains(r.body, step.says) {
			t.Errorf("%s as %s: %d %s, want %d %s", step.path, step.who.who, r.status, r.body, step.status, step.says)
		}
		if step.path != "/api/notes/shopping" { // kin-openapi knows one spelling
			if err := c.check(r); err != nil {
				t.Errorf("%s: %v", step.path, err)
			}
		}
	}
	if notes["shopping"] != "salt" {
		t.Errorf("the note is %q", notes["shopping"])
	}
}
