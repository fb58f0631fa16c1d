//go:build linux

package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kpm/vmtests/agent"
)

// TestTokenInScriptText: a job that would run what a caller has named its file
// does not load, and says what to do; values come as arguments and in the
// environment.
func TestTokenInScriptText(t *testing.T) {
	dir := reachable(t)
	proof := filepath.Join(dir, "proof")
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	job := func(id, arguments string) string {
		return `{"id": "` + id + `", "name": "` + id + `", "enabled": true, "events": [{"eventType": "Custom", "customEvent": "LaunchPrivilegeElevation"}],
 "tasks": [{"id": "t", "command": "sh", "arguments": "` + arguments + `"}]}`
	}
	a := newAgent(t, allowAll, func(a *agent.Agent) {
		for id, arguments := range map[string]string{
			"unsafe":      `-ec 'echo {FilePath} >>` + proof + `'`,
			"argument":    `-c 'printf %s\\\\n \"$1\" >>` + dir + `/argument' sh {FilePath}`,
			"environment": `-c 'printf %s\\\\n \"$KEEPER_CTX_FILEPATH\" >>` + dir + `/environment'`,
		} {
			if err := a.Write("Jobs/"+id+".json", job(id, arguments)); err != nil {
				t.Fatal(err)
			}
		}
	})
	evil := filepath.Join(dir, `x;touch injected`)
	if err := os.WriteFile(evil, []byte("#!/bin/sh\nid -u\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if out, status := sudoed(t, a, evil); status != 0 || out != "0\n" {
		t.Fatalf("exit status %d: %s", status, out)
	}
	wrote := func(name string) {
		t.Helper()
		eventually(t, name+" has run", func() bool {
			text, _ := os.ReadFile(filepath.Join(dir, name))
			return string(text) == evil+"\n"
		})
	}
	wrote("argument")
	if _, err := os.Stat(proof); err == nil {
		t.Error("the job with a token in its script has run")
	}
	list, err := a.Admin(t.Context(), "jobs", "list")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"a token in text that sh runs", "KEEPER_CTX_FILEPATH"} {
		if !strings.Contains(list, want) && !strings.Contains(a.Log(), want) {
			t.Errorf("neither the list of jobs nor the log says %q:\n%s\n%s", want, list, a.Log())
		}
	}
	wrote("environment")
}
