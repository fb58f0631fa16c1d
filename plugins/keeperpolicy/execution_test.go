package keeperpolicy

import (
	"path/filepath"
	"testing"

	"kpm/core"
	"kpm/core/wire"
)

// What the service asks right before a program runs.
func TestExecutions(t *testing.T) {
	policyOf := func(id, kind, control, program, more string) string {
		return `{"PolicyId": "` + id + `", "PolicyName": "Name of ` + id + `", "PolicyType": "` + kind + `", "Status": "enforce",
			"Actions": {"OnSuccess": {"Controls": ["` + control + `"]}}, "UserCheck": ["*"], "MachineCheck": ["*"], "ApplicationCheck": ["` + program + `"]` + more + `}`
	}
	root := agentRoot(t, map[string]string{
		"files.json":  policyOf("files", "FileAccess", "DENY", "/usr/bin/nmap", ""),
		"make.json":   policyOf("make", "PrivilegeElevation", "ALLOW", "/usr/bin/make", `, "Extension": {"ChildProcesses": "own-rule"}`),
		"cc.json":     policyOf("cc", "PrivilegeElevation", "ALLOW", "/usr/bin/cc", ""),
		"filter.json": policyOf("filter", "FileAccess", "DENY", "/usr/bin/nc", `, "Extension": {"CustomFilterJobId": "never"}`),
	})
	e, log := logged(Config{Root: root, Open: openAny})
	if !e.load(true) {
		t.Fatal(log)
	}
	put := func(q wire.PolicyRequest) wire.PolicyResponse {
		t.Helper()
		m, err := wire.New(wire.TypePolicyRequest, "KeeperPrivilegeManager", q)
		if err != nil {
			t.Fatal(err)
		}
		_, response, open := e.begin(m)
		if open != nil {
			t.Error("an execution waits for filter jobs")
		}
		return response
	}
	about := func(kind, path string) wire.PolicyRequest {
		return wire.PolicyRequest{EventType: kind, UserID: "4000", UserName: "#4000", MachineName: "web1", FilePath: path, RequestedPath: path, Arguments: []string{filepath.Base(path)}}
	}
	for path, want := range map[string]wire.PolicyResponse{
		"/usr/bin/nmap": {Decision: core.Deny}, "/usr/bin/nc": {Decision: core.Deny}, "/usr/bin/id": {Decision: core.Allow, Unrestricted: true},
	} {
		got := put(about(wire.EventExecution, path))
		if got.Decision != want.Decision || got.Unrestricted != want.Unrestricted || !got.Executions || got.Generation == "" {
			t.Errorf("%s: got %+v", path, got)
		}
	}
	parent := about(wire.EventPrivilegeElevation, "/usr/bin/make")
	if got := put(parent); got.Decision != core.Allow || got.Children != wire.ChildrenOwnRule {
		t.Errorf("the parent: %+v", got)
	}
	if got := put(about(wire.EventPrivilegeElevation, "/usr/bin/cc")); got.Children != "" {
		t.Errorf("a command without a rule: %+v", got)
	}
	for path, want := range map[string]core.Outcome{"/usr/bin/cc": core.Allow, "/usr/bin/ld": core.Deny, "/usr/bin/nmap": core.Deny} {
		child := about(wire.EventPrivilegeElevation, path)
		child.Parent = &parent
		if got := put(child); got.Decision != want {
			t.Errorf("child %s: %+v", path, got)
		}
	}
	broken := about(wire.EventPrivilegeElevation, "/usr/bin/cc")
	broken.Parent = &wire.PolicyRequest{}
	if got := put(broken); got.Decision != core.Deny || got.Message != malformed {
		t.Errorf("a parent about nobody: %+v", got)
	}
	before := put(wire.Probe()).Generation
	e.load(true)
	if after := put(wire.Probe()).Generation; before == "" || after == before {
		t.Errorf("policies were read again, and are called %q as before", after)
	}
}
