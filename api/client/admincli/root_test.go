package admincli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kpm/core/port"
)

// user is somebody who is no administrator.
type user struct{ port.Accounts }

func (user) Administrator() bool { return false }

func byUser() Config { return altered(func(h *port.Host) { h.Accounts = user{h.Accounts} }) }

// decision 4: --root, then KEEPER_AGENT_ROOT for whoever it can only harm
// themselves, then the default.
func TestWhichRootIsAskedAbout(t *testing.T) {
	named, variable := journalled(t), t.TempDir()
	elsewhere := filepath.Dir(named)
	relative := filepath.Base(named)
	for _, c := range []struct {
		name, root, variable string
		cfg                  Config
		want                 string // the root; "" is that of named
	}{
		{"root names it", named, variable, machine(), ""},
		{"a user names it", named, variable, byUser(), ""},
		{"a user's variable", "", named, byUser(), ""},
		{"a user's variable that leads elsewhere", "", variable, byUser(), variable},
		{"relative", relative, "", machine(), ""},
		{"not clean", named + "/../" + relative + "/.", "", machine(), ""},
		{"nothing names it", "", "", byUser(), "/opt/KeeperPrivilegeManager"},
	} {
		t.Chdir(elsewhere)
		t.Setenv("KEEPER_AGENT_ROOT", c.variable)
		args := []string{"audit", "tail", "-n", "1"}
		if c.root != "" {
			args = append(args, "--root", c.root)
		}
		code, out, diag := doOn(c.cfg, args...)
		if c.want == "" && (code != exitOK || !strings.Contains(out, "stop") || diag != "") {
			t.Errorf("%s: %d %q %q", c.name, code, out, diag)
		}
		if c.want != "" && (code != exitUsage || out != "" || !strings.Contains(diag, c.want)) {
			t.Errorf("%s: %d %q %q, want one of %s", c.name, code, out, diag, c.want)
		}
	}
}

// Attack: a user has the tool believe what lies in a root that somebody else can
// exchange. Every command is told so, before it reads anything there.
func TestNoCommandTrustsARootThatOthersCanChange(t *testing.T) {
	root := newRunning(t).root
	if err := os.Chmod(root, 0o777); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"status", "status --port 1", "plugins list", "jobs list --json", "jobs run --id cleanup", "jobs trigger --id cleanup",
		"settings get KeeperPrivilegeManager", "audit tail", "audit verify",
		"trust status", "trust rotate", "trust enroll --csr -", "trust inspect /bin/sh",
	} {
		for name, cfg := range map[string]Config{"root": machine(), "a user": byUser()} {
			code, out, diag := doOn(cfg, append(strings.Fields(line), "--root", root)...)
			if code != exitUsage || out != "" || !strings.HasPrefix(diag, "KeeperAdminCLI: agent root "+root+" cannot be trusted, name another with --root: ") {
				t.Errorf("%s by %s: %d %q %q", line, name, code, out, diag)
			}
		}
	}
}
