//go:build linux

package installed

import (
	"os"
	"strings"
	"testing"

	"kpm/vmtests/machine"
)

// TestPlainSudo: sudo is keepersudo once an administrator says so, the system's own
// goes on working at its own path, also without a service, and everything can be
// undone without one.
func TestPlainSudo(t *testing.T) {
	plainSudo(t, "a password is required")
}

// TestPlainSudoBesideSudoRs: so it is where the system's own is sudo-rs.
func TestPlainSudoBesideSudoRs(t *testing.T) {
	down, err := up(t.Context(), machine.DebianSudoRs)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := down(); err != nil {
			t.Error(err)
		}
	})
	if out := run(t, "readlink", "-f", "/usr/bin/sudo"); out != "/usr/lib/cargo/bin/sudo\n" {
		t.Fatalf("the system's own sudo is %s", out)
	}
	plainSudo(t, "I'm sorry bob")
}

// plainSudo is both. sudoers is what the system's own says to somebody whom sudoers
// does not name and who cannot be asked for a password.
func plainSudo(t *testing.T, sudoers string) {
	t.Helper()
	cli := root + "/KeeperAdminCLI"
	denied := func(what string, got outcome, says string) {
		t.Helper()
		if got.Status == 0 || got.Stdout != "" || !strings.Contains(got.Stderr, says) {
			t.Errorf("%s: %+v, expected a refusal with %q", what, got, says)
		}
	}
	allowed := func(what string, got outcome, out string) {
		t.Helper()
		if got != (outcome{Stdout: out}) {
			t.Errorf("%s: %+v, expected %q", what, got, out)
		}
	}
	denied("sudoers before", says(t, "bob", "sudo", "-n", "whoami"), sudoers)
	if got := says(t, "bob", cli, "interception", "enable", "sudo"); got.Status != 2 || !strings.Contains(got.Stderr, "run this as root") {
		t.Errorf("a user enables it: %+v", got)
	}

	run(t, cli, "interception", "enable", "sudo")
	t.Cleanup(func() { _ = os.Remove(box.Root + "/usr/local/bin/sudo") })
	allowed("policy", says(t, "bob", "sudo", "-n", "whoami"), "root\n")
	denied("policy", says(t, "alice", "sudo", "-n", "whoami"), "Whoami is for ops")
	allowed("policy in a script", says(t, "bob", "sh", "-c", "sudo whoami"), "root\n")
	allowed("the system's own", says(t, "alice", "/usr/bin/sudo", "-n", "whoami"), "root\n")
	denied("the system's own", says(t, "bob", "/usr/bin/sudo", "-n", "whoami"), sudoers)

	run(t, "systemctl", "stop", service)
	defer systemctl(t, "start")
	if got := says(t, "bob", "sudo", "-n", "whoami"); got.Status == 0 || got.Stdout != "" {
		t.Errorf("without a service: %+v", got)
	}
	allowed("the way out without a service", says(t, "alice", "/usr/bin/sudo", "-n", "whoami"), "root\n")
	if out := run(t, "su", "-c", "whoami", "root"); out != "root\n" {
		t.Errorf("root by su: %q", out)
	}
	allowed("the end of it without a service", says(t, "alice", "/usr/bin/sudo", "-n", cli, "interception", "disable", "sudo"), "sudo is the system's own\n")
	denied("sudoers after", says(t, "bob", "sudo", "-n", "whoami"), sudoers)
	allowed("sudoers after", says(t, "alice", "sudo", "-n", "whoami"), "root\n")

	allowed("once more, by the system's own", says(t, "alice", "/usr/bin/sudo", "-n", cli, "interception", "enable", "sudo"),
		"sudo is keepersudo: shells that were open before may need \"hash -r\"\n")
	if got := says(t, "alice", "sudo", "-n", "whoami"); got.Status == 0 || got.Stdout != "" {
		t.Errorf("without a service: %+v", got)
	}
	allowed("the end of it by hand", says(t, "alice", "/usr/bin/sudo", "-n", "rm", "/usr/local/bin/sudo"), "")
	allowed("sudoers after", says(t, "alice", "sudo", "-n", "whoami"), "root\n")
	eventually(t, "the way out is in the system's log", func() bool {
		return strings.Contains(run(t, "journalctl", "--no-pager", "-t", "sudo"), "COMMAND=/usr/bin/rm /usr/local/bin/sudo")
	})
	eventually(t, "and who has switched it", func() bool {
		log := run(t, "journalctl", "--no-pager", "-t", "KeeperAdminCLI")
		return strings.Contains(log, "interception enable sudo: sudo is keepersudo") && strings.Contains(log, "interception disable sudo: sudo is the system's own")
	})
}
