package admincli

import (
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// A command of commands says which there are. Nobody asked it for a fault.
func TestACommandOfCommandsIsHelp(t *testing.T) {
	for line, commands := range map[string][]string{
		"":              {"approvals", "audit", "completion", "config", "doctor", "filegrants", "grants", "help", "interception", "jobs", "mfa", "plugins", "policy", "reload", "rights", "service", "settings", "status", "support", "topics", "trust"},
		"approvals":     {"approve", "code", "deny", "extend", "key", "list", "show"},
		"audit":         {"list", "tail", "verify"},
		"config":        {"check", "show"},
		"filegrants":    {"files", "give", "list", "revoke"},
		"service":       {"install", "start", "status", "stop", "uninstall"},
		"support":       {"bundle"},
		"approvals key": {"new", "remove", "show"},
		"completion":    {"bash", "fish", "powershell", "zsh"},
		"jobs":          {"cancel", "explain", "graph", "list", "new", "reload", "run", "runs", "show", "tail", "trigger", "validate"},
		"mfa":           {"enroll", "list", "remove", "ticket"},
		"plugins":       {"approve", "check", "health", "install", "list", "logs", "new", "reload", "remove", "restart", "start", "stop"},
		"policy":        {"apply", "explain", "lint", "list", "new", "replay", "show", "test"},
		"rights":        {"check", "list", "resume", "return"},
		"settings":      {"app", "get", "put", "revert", "revert-all"},
		"trust":         {"enroll", "inspect", "rotate", "status"},
		"interception":  {"disable", "enable"},
	} {
		out := tell(t, exitOK, strings.Fields(line)...)
		_, list, _ := strings.Cut(out, "Available Commands:\n")
		list, _, _ = strings.Cut(list, "\n\n")
		var got []string
		for row := range strings.Lines(list) {
			got = append(got, strings.Fields(row)[0])
		}
		if !slices.Equal(got, commands) {
			t.Errorf("%q lists %q, want %q", line, got, commands)
		}
		// Both ways to ask for help give the same.
		if help := tell(t, exitOK, append([]string{"help"}, strings.Fields(line)...)...); line != "" && help != out {
			t.Errorf("help %s:\n%s", line, help)
		}
	}
}

// A script that keeps the output must not keep help in its place.
func TestAWordThatIsNoCommandIsAnError(t *testing.T) {
	for line, says := range map[string]string{
		"completion bsh": `unknown command "bsh" for "KeeperAdminCLI completion"`,
		"help audits":    `there is no help about "audits", expected a command`,
		"help jobs stop": `there is no help about "jobs stop", expected a command`,
		"jobs stop":      `unknown command "stop" for "KeeperAdminCLI jobs"`,
		"settings set":   `unknown command "set" for "KeeperAdminCLI settings"`,
		"trust all":      `unknown command "all" for "KeeperAdminCLI trust"`,
		"status all":     `unknown command "all" for "KeeperAdminCLI status"`,
		"plugins list x": `unknown command "x" for "KeeperAdminCLI plugins list"`,
		"audits":         "unknown command \"audits\" for \"KeeperAdminCLI\"\n  \n  Did you mean this?\n    audit",
	} {
		code, out, diag := do(t, strings.Fields(line)...)
		if code != exitUsage || out != "" || diag != "KeeperAdminCLI: "+says+"\n" {
			t.Errorf("%s: %d %q %q", line, code, out, diag)
		}
	}
}

func TestCompletion(t *testing.T) {
	for shell, hook := range map[string]string{
		"bash": "__start_KeeperAdminCLI KeeperAdminCLI\n", "zsh": "#compdef KeeperAdminCLI\n",
		"fish": "complete -c KeeperAdminCLI ", "powershell": "-CommandName 'KeeperAdminCLI'",
	} {
		if out := tell(t, exitOK, "completion", shell); !strings.Contains(out, hook) {
			t.Errorf("%s: nothing is completed by\n%s", shell, out)
		}
	}
	for _, c := range []struct {
		typed []string
		want  []string
	}{
		{[]string{"trust", ""}, []string{"enroll", "inspect", "rotate", "status"}},
		{[]string{"jobs", "tr"}, []string{"trigger"}},
		{[]string{"trust", "rotate", "--js"}, []string{"--json"}},
		{[]string{"audit", "tail", "--l"}, []string{"--lines"}},
	} {
		code, out, _ := do(t, append([]string{"__complete"}, c.typed...)...)
		var got []string
		for line := range strings.Lines(out) {
			if word, _, _ := strings.Cut(strings.TrimSpace(line), "\t"); !strings.HasPrefix(word, ":") {
				got = append(got, word)
			}
		}
		if code != exitOK || !slices.Equal(got, c.want) {
			t.Errorf("%q: %d, offers %q, want %q", c.typed, code, got, c.want)
		}
	}
}

// The first page names what administrators do, and each line of it is a command
// that there is, with those options.
func TestTheFirstPage(t *testing.T) {
	root := Command(machine())
	_, list, _ := strings.Cut(root.Long, "Ten things administrators do:\n\n")
	list, _, _ = strings.Cut(list, "\n\n")
	lines := strings.Split(list, "\n")
	if len(lines) != 10 {
		t.Fatalf("%d things", len(lines))
	}
	for _, line := range lines {
		_, command, found := strings.Cut(line, "  KeeperAdminCLI ")
		if !found || len(line) > 80 {
			t.Errorf("%q", line)
		}
		cmd, rest, err := root.Find(strings.Fields(command))
		if err != nil || !cmd.Runnable() || cmd.HasSubCommands() {
			t.Errorf("%q: %v", line, err)
			continue
		}
		if err := cmd.ParseFlags(rest); err != nil {
			t.Errorf("%q: %v", line, err)
		} else if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
			t.Errorf("%q: %v", line, err)
		}
	}
}

// textOnly are commands whose answer is a script or help.
var textOnly = []string{"completion", "help"}

// Every command has an example that is a command line of its own, and can be asked
// for JSON.
func TestEveryCommandHasExamplesAndJSON(t *testing.T) {
	root := Command(machine())
	var visit func(*cobra.Command)
	visit = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			visit(sub)
		}
		if cmd.HasSubCommands() || !cmd.Runnable() {
			return
		}
		name := strings.TrimPrefix(cmd.CommandPath(), "KeeperAdminCLI ")
		if slices.ContainsFunc(textOnly, func(word string) bool { return strings.HasPrefix(name, word) }) {
			return
		}
		if !strings.Contains(cmd.Example, "KeeperAdminCLI "+name) {
			t.Errorf("%s: its example is not one of it: %q", name, cmd.Example)
		}
		if cmd.Flags().Lookup("json") == nil {
			t.Errorf("%s has no --json", name)
		}
	}
	visit(root)
}
