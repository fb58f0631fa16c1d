package admincli

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"kpm/core/port"
	"kpm/platform"
)

// altered is the machine that the tests run on, with other ports.
func altered(change func(*port.Host)) Config {
	cfg := machine()
	cfg.Host = func(root string) port.Host {
		host := platform.Tools(root)
		change(&host)
		return host
	}
	return cfg
}

// doOn is do on another machine.
func doOn(cfg Config, args ...string) (code int, stdout, stderr string) {
	var out, diag bytes.Buffer
	code = Run(context.Background(), args, &out, &diag, cfg)
	return code, out.String(), diag.String()
}

// everyCommand has a line for each command that answers something, on roots
// where each of them succeeds.
func everyCommand(t *testing.T) [][]string {
	t.Helper()
	service, journal, key, files := newRunning(t).root, journalled(t), enrolled(t, "software", ""), released(t)
	lines := [][]string{{"trust", "inspect", filepath.Join(files, "good"), "--root", files}}
	policy := policyFile(t, "p.json", policyText("a", "ALLOW", "nobody", "/usr/bin/id"))
	for _, line := range []string{"lint", "list", "list --json", "show a", "show a --json", "explain --user nobody id", "explain --json --user nobody id",
		"apply --dry-run " + policy,
		"new b --user nobody --application /usr/bin/id", "replay --since 1h"} {
		lines = append(lines, append([]string{"policy", "--policies", policy, "--root", journal}, strings.Fields(line)...))
	}
	for root, of := range map[string][]string{
		service: {"status", "plugins list", "plugins list --json", "jobs list", "jobs run --id cleanup", "jobs trigger --id cleanup",
			"settings get KeeperPrivilegeManager", "settings get KeeperPrivilegeManager odd", "config show --effective", "config show --effective --json", "support bundle --output -"},
		journal: {"audit verify", "audit verify --json", "audit tail", "audit tail --json", "audit list", "audit list --json"},
		key:     {"trust rotate", "trust rotate --json", "trust status", "trust enroll --csr -"},
	} {
		for _, line := range of {
			lines = append(lines, append(strings.Fields(line), "--root", root))
		}
	}
	return lines
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, syscall.ENOSPC }

// A script that keeps an answer in a file must learn that it is not there.
func TestAnAnswerThatCannotBeWrittenIsNoSuccess(t *testing.T) {
	for _, line := range everyCommand(t) {
		if code, out, diag := do(t, line...); code != exitOK || out == "" || diag != "" {
			t.Errorf("%v: %d %q %q", line, code, out, diag)
		}
		var diag bytes.Buffer
		code := Run(context.Background(), line, fullDisk{}, &diag, machine())
		if code != exitUsage || !strings.HasSuffix(diag.String(), "no space left on device\n") {
			t.Errorf("%v: %d %q", line, code, diag.String())
		}
	}
}

// Whoever interrupts a command has no answer, and is told nothing that was not
// found out: neither that the service is down nor that the journal ends here.
func TestInterruptedCommandsClaimNothing(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	asked := 0
	for _, line := range everyCommand(t) {
		if line[0] == "trust" && line[1] != "inspect" {
			continue // they ask nobody else, and are done at once
		}
		asked++
		var out, diag bytes.Buffer
		code := Run(ctx, line, &out, &diag, machine())
		if code != exitUsage || out.Len() > 0 || diag.String() != "KeeperAdminCLI: interrupted, the answer was not had\n" {
			t.Errorf("%v: %d %q %q", line, code, out.String(), diag.String())
		}
	}
	if asked < 10 {
		t.Errorf("only %d commands", asked)
	}
}

// What a command line or a file is called is foreign text too.
func TestErrorsDoNotSteerTheTerminal(t *testing.T) {
	root, key := journalled(t), enrolled(t, "software", "")
	const name = "/nonexistent/\x1b[2J\u202e\nKeeperAdminCLI: all is well"
	for _, line := range [][]string{
		{"trust", "inspect", "--need", "gold\x1b[2J", "x"},
		{"trust", "inspect", "--root", released(t), name},
		{"trust", "enroll", "--certificate", name, "--root", key},
		{"trust", "enroll", "--csr", name, "--root", key},
		{"audit", "verify", "--key", name, "--root", root},
		{"audit", "verify", "--root", name},
		{"status", "--url", "https://localhost:1/\u202e\u009b"},
		{"status", "--port", "1", "--client-cert", name, "--client-key", name, "--root", newRunning(t).root},
		{"jobs", "run", "--id", name, "--root", newRunning(t).root},
		{"jobs", "trigger", "--id", "x", "--context", name},
		{"settings", "get", name, "--root", newRunning(t).root},
		{"help", name},
		{name},
	} {
		code, out, diag := do(t, line...)
		if code != exitUsage || out != "" || !strings.HasPrefix(diag, "KeeperAdminCLI: ") {
			t.Errorf("%q: %d %q %q", line, code, out, diag)
		}
		if strings.ContainsAny(diag, "\x1b\u202e\u009b") || strings.Contains(diag, "\nKeeperAdminCLI:") {
			t.Errorf("%q: steers the terminal: %q", line, diag)
		}
	}
}

func TestWhoMayNotReadIsToldToBeRoot(t *testing.T) {
	cfg := altered(func(h *port.Host) { h.Files = unreadable{h.Files} })
	for _, line := range []string{"trust status", "trust rotate", "trust enroll --csr -", "trust inspect /bin/sh"} {
		root := enrolled(t, "software", "")
		code, out, diag := doOn(cfg, append(strings.Fields(line), "--root", root)...)
		want := fmt.Sprintf("KeeperAdminCLI: settings: read %s/appsettings.json: permission denied; run this as root\n", root)
		if code != exitUsage || out != "" || diag != want {
			t.Errorf("%s: %d %q %q, want %q", line, code, out, diag, want)
		}
		if entries, err := os.ReadDir(root); err != nil || len(entries) != 1 {
			t.Errorf("%s made %v (%v)", line, entries, err)
		}
	}
}

// unreadable files are what a user meets who is not root.
type unreadable struct{ port.Files }

func (unreadable) ReadProtected(path string, _ int64) ([]byte, error) {
	return nil, &fs.PathError{Op: "read", Path: path, Err: fs.ErrPermission}
}
