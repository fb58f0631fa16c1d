//go:build linux

package installed

import (
	"context"
	_ "embed"
	"os"
	"strings"
	"testing"
)

//go:embed jobs.py
var jobs string

// TestJobControlAsSudo: a person who plays the same scenes with sudo and with
// keepersudo sees the same. Two of one job are not among them: sudo leaves the
// terminal raw.
func TestJobControlAsSudo(t *testing.T) {
	const script = "/usr/local/lib/jobs.py"
	if err := os.WriteFile(box.Root+script, []byte(jobs), 0o644); err != nil {
		t.Fatal(err)
	}
	play := func(command string) string {
		ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
		defer cancel()
		out, err := as(ctx, "alice", "python3", script, command).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v", command, err)
		}
		return string(out)
	}
	theirs, ours := play("sudo"), play("keepersudo")
	if ours != theirs || strings.Contains(ours, "never shown") || strings.Count(ours, "== ") != 8 {
		t.Errorf("sudo\n%s\nkeepersudo\n%s", theirs, ours)
	}
	verified(t)
}

// TestHelpExamplesRun: every example of keepersudo --help does what it says, on
// a machine that has these programs.
func TestHelpExamplesRun(t *testing.T) {
	for name, text := range map[string]string{
		"/etc/systemd/system/cups.service":        "[Service]\nType=oneshot\nExecStart=/bin/true\n",
		"/usr/share/postgresql-common/pg_wrapper": "#!/bin/sh\ntest \"${0##*/}\" = psql && test \"$(id -un)\" = bob\n",
		"/home/alice/install.sh":                  "#!/bin/sh\ncd \"$(dirname \"$KEEPER_SCRIPT\")\" && test \"$1\" = --prefix=/usr/local && cat beside\n",
		"/home/alice/beside":                      "it is here\n",
		"/srv/payroll/list":                       "names\n",
	} {
		if err := os.MkdirAll(box.Root+name[:strings.LastIndex(name, "/")], 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(box.Root+name, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../share/postgresql-common/pg_wrapper", box.Root+"/usr/bin/psql"); err != nil {
		t.Fatal(err)
	}
	if _, err := box.Run(t.Context(), "systemctl", "daemon-reload"); err != nil {
		t.Fatal(err)
	}
	help := says(t, "alice", "keepersudo", "--help").Stdout
	_, examples, _ := strings.Cut(help, "Examples:\n")
	examples, _, _ = strings.Cut(examples, "\n\n")
	ran := 0
	for example := range strings.Lines(examples) {
		ran++
		example = strings.ReplaceAll(strings.TrimSpace(example), "-u postgres", "-u bob")
		if got := says(t, "alice", "bash", "-o", "pipefail", "-c", "export EDITOR=true; "+strings.ReplaceAll(example, "| less", "| head -n 1")); got.Status != 0 && !(strings.Contains(example, "journalctl") && got.Status == 141) {
			t.Errorf("%s: %+v", example, got)
		}
	}
	if ran != 8 {
		t.Errorf("%d examples in %s", ran, help)
	}
}
