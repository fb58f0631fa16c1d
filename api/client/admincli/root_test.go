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

// The tool is about the agent that it lies in, whoever calls it and by whatever link,
// unless another is named.
func TestTheAgentThatTheToolLiesIn(t *testing.T) {
	own, other := journalled(t), t.TempDir()
	host := machine().Host("")
	service := filepath.Join(own, "KeeperPrivilegeManager"+host.Facts.Platform.ProgramSuffix())
	if err := os.WriteFile(service, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	inAgent := func(cfg Config) Config {
		cfg.Program = filepath.Join(own, "KeeperAdminCLI")
		return cfg
	}
	for _, c := range []struct {
		name, root, variable string
		cfg                  Config
		found                bool
	}{
		{"root", "", "", inAgent(machine()), true},
		{"root, with somebody's variable", "", other, inAgent(machine()), true},
		{"a user", "", "", inAgent(byUser()), true},
		{"a user who names another by variable", "", other, inAgent(byUser()), false},
		{"another is named", other, "", inAgent(machine()), false},
	} {
		t.Setenv("KEEPER_AGENT_ROOT", c.variable)
		args := []string{"audit", "tail", "-n", "1"}
		if c.root != "" {
			args = append(args, "--root", c.root)
		}
		if code, out, diag := doOn(c.cfg, args...); (code == exitOK && strings.Contains(out, "stop")) != c.found {
			t.Errorf("%s: %d %q %q", c.name, code, out, diag)
		}
	}
	// A folder without the service's program is no agent.
	if err := os.Remove(service); err != nil {
		t.Fatal(err)
	}
	if code, _, diag := doOn(inAgent(machine()), "audit", "tail"); code != exitUsage || !strings.Contains(diag, host.Facts.Platform.DefaultRoot()) {
		t.Errorf("%d %q", code, diag)
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
